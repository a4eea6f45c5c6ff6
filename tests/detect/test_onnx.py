"""The ONNX Runtime detector with small networks, the shipped network, and public networks if the data exist."""

from __future__ import annotations

import hashlib
from contextlib import closing
from pathlib import Path

import av
import numpy as np
import onnx
import onnxruntime
import pytest

from engine.decode.cpu import CpuDecoder
from engine.decode.settings import DecodeSettings, ModelInput
from engine.detect.cards import ModelCard, find_card, shipped_cards
from engine.detect.dynamic_batch import with_dynamic_batch
from engine.detect.onnx import OnnxDetector
from engine.errors import ConfigError, ModelError
from engine.metrics import Metrics
from engine.types import FrameBatch, Segment, VehicleClass
from rig.videos import cut
from tests.support import frames
from tests.support.networks import COCO, make_card, make_network

BOXES = np.array([[[0.5, 0.5, 0.25, 0.5], [0.25, 0.5, 0.125, 0.125]]], np.float32)


def logits() -> np.ndarray:
    """A car and a person; the logits follow the brightness of the picture."""
    values = np.full((1, 2, 80), -1, np.float32)
    values[0, 0, 2] = values[0, 1, 0] = 1
    return values


@pytest.fixture
def detr(tmp_path: Path) -> Path:
    """Card of a DETR whose scores follow the brightness of the first pixel."""
    path = tmp_path / "detr.onnx"
    make_network(path, {"dets": BOXES, "labels": logits()}, lit=frozenset({"labels"}))
    return make_card(path, "detr", score_threshold=0.7, low_score_threshold=0.6)


def make_batch(card: ModelCard, brightness: list[float]) -> FrameBatch:
    """One frame per row, with pictures of the model's size."""
    width, height = card.input.width_px, card.input.height_px
    pixels = np.array(brightness, np.float32)[:, None, None, None] * np.ones((1, 3, height, width), np.float32)
    return frames.make_batch(len(brightness), [(0, 0, width, height)], (width, height), None, pixels)


def decoded_card(folder: Path) -> ModelCard:
    """Card of a DETR that is exported for one picture, scales its boxes by its second input, and finds one car."""
    path = folder / "rt.onnx"
    boxes, scores = np.array([[[1, 2, 30, 40]]], np.float32), np.ones((1, 1), np.float32)
    make_network(path, {"labels": np.array([[2]]), "boxes": boxes, "scores": scores}, sizes_input=True)
    return find_card(str(make_card(path, "detr", head_options={"labels": "labels"})))


def test_all_frames_have_boxes_with_class_and_score(detr: Path) -> None:
    card = find_card(str(detr))
    with closing(OnnxDetector(card, threads=2)) as detector:
        found = detector.detect(make_batch(card, [4.0, 0.0, 2.0]))
    assert found.frame.tolist() == [0, 0, 2, 2]
    assert found.class_id.tolist() == [VehicleClass.CAR, VehicleClass.PERSON] * 2
    assert found.xyxy_px[0].tolist() == [24, 16, 40, 48]
    np.testing.assert_allclose(found.score, np.repeat(1 / (1 + np.exp([-4.0, -2.0])), 2), rtol=1e-5)


def test_the_result_of_a_frame_does_not_depend_on_its_neighbours(detr: Path) -> None:
    card = find_card(str(detr))
    detector = OnnxDetector(card, threads=4)
    brightness = np.random.default_rng(0).uniform(0.5, 5, 40).tolist()
    together = detector.detect(make_batch(card, brightness))
    for frame in (0, 17, 39):
        alone = detector.detect(make_batch(card, brightness[frame : frame + 1]))
        np.testing.assert_allclose(together.score[together.frame == frame], alone.score, rtol=1e-6)


def test_an_empty_batch_gives_no_detection(detr: Path) -> None:
    card = find_card(str(detr))
    found = OnnxDetector(card, threads=1).detect(make_batch(card, []))
    assert len(found) == len(found.frames) == 0


def test_the_record_names_model_and_runtime(detr: Path) -> None:
    card = find_card(str(detr))
    record = OnnxDetector(card, threads=1).model
    assert (record.name, record.sha256) == ("small", hashlib.sha256(card.file.read_bytes()).hexdigest())
    assert record.runtime == f"onnxruntime {onnxruntime.__version__} cpu"


def test_a_network_that_scales_its_boxes_gets_the_size_of_the_model(tmp_path: Path) -> None:
    card = decoded_card(tmp_path)
    assert OnnxDetector(card, threads=1).detect(make_batch(card, [1.0])).xyxy_px.tolist() == [[1, 2, 30, 40]]


# -- what does not fit


def test_a_file_with_another_hash_is_refused(detr: Path) -> None:
    model = detr.with_suffix(".onnx")
    model.write_bytes(model.read_bytes() + b"\0")
    with pytest.raises(ModelError, match=r"small: .*detr\.onnx has SHA-256 [0-9a-f]{64}, its card says"):
        OnnxDetector(find_card(str(detr)), threads=1)


def test_the_error_names_a_missing_file(detr: Path) -> None:
    detr.with_suffix(".onnx").unlink()
    with pytest.raises(ModelError, match=r"detr\.onnx"):
        OnnxDetector(find_card(str(detr)), threads=1)


def test_a_file_that_is_not_a_network_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "junk.onnx"
    path.write_bytes(b"not a network")
    with pytest.raises(ModelError, match=r"junk\.onnx"):
        OnnxDetector(find_card(str(make_card(path, "detr"))), threads=1)


@pytest.mark.parametrize(
    ("changes", "what"),
    [
        ({"width_px": 320}, r"the input is 'images' \[1, 3, 64, 64\], its card says 'images' \(1, 3, 64, 320\)"),
        ({"layout": "nhwc"}, r"its card says 'images' \(1, 64, 64, 3\)"),
        ({"name": "pixels"}, "its card says 'pixels'"),
        ({"dtype": "uint8"}, "small: .*[Tt]ype"),
    ],
)
def test_an_input_other_than_in_the_card_is_refused(detr: Path, changes: dict[str, object], what: str) -> None:
    card = find_card(str(make_card(detr.with_suffix(".onnx"), "detr", input=changes)))
    with pytest.raises(ModelError, match=what):
        OnnxDetector(card, threads=1)


def test_outputs_that_do_not_fit_the_head_are_refused_at_the_start(detr: Path) -> None:
    card = find_card(str(make_card(detr.with_suffix(".onnx"), "yolox")))
    with pytest.raises(ModelError, match="small: 0 outputs fit as predictions"):
        OnnxDetector(card, threads=1)


def test_cards_are_found_by_name_and_the_error_lists_them() -> None:
    assert "ssd_mobilenet_v3_large" in shipped_cards()
    with pytest.raises(ConfigError, match="no model card is called 'yolo99'; shipped: ssd_mobilenet_v3_large"):
        find_card("yolo99")
    with pytest.raises(ConfigError, match=r"nowhere\.toml"):
        find_card("nowhere.toml")


# -- the batch dimension


def test_a_dynamic_batch_gives_the_same_outputs() -> None:
    card = find_card("ssd_mobilenet_v3_large")
    session = onnxruntime.InferenceSession(card.file, providers=["CPUExecutionProvider"])
    pictures = np.random.default_rng(0).uniform(-1, 1, (3, 320, 320, 3)).astype(np.float32)
    together = session.run(None, {card.input.name: pictures})
    for row in range(3):
        alone = session.run(None, {card.input.name: pictures[row : row + 1]})
        for a, b in zip(alone, together, strict=True):
            np.testing.assert_allclose(a[0], b[row], atol=1e-4)


def test_a_reshape_that_mixes_pictures_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "mixed.onnx"
    make_network(path, {"dets": BOXES})
    with pytest.raises(ModelError, match="does not begin with a batch of 1"):
        with_dynamic_batch(onnx.load(path))


# -- real networks on real pictures


def still(data: Path, name: str) -> Segment:
    """A JPEG file is a packet of MJPEG."""
    packet = av.Packet((data / "stills" / name).read_bytes())
    packet.pts = packet.dts = 0
    packet.is_keyframe = True
    return cut([packet], "mjpeg", (1920, 1080))


def detect(card: ModelCard, segment: Segment) -> list[tuple[VehicleClass, list[float]]]:
    decoder = CpuDecoder({0: DecodeSettings("x", 8.0)}, card.input, Metrics(), 1)
    with closing(decoder), closing(OnnxDetector(card, threads=1)) as detector:
        found = detector.detect(decoder.decode([segment]))
    sure = found.score >= card.score_threshold
    return [(VehicleClass(c), b.tolist()) for c, b in zip(found.class_id[sure], found.xyxy_px[sure], strict=True)]


def public_card(data: Path, model: str, head: str, **changes: object) -> ModelCard:
    path = data / "models" / f"{model}.onnx"
    return ModelCard(
        name=model, file=path, sha256=hashlib.sha256(path.read_bytes()).hexdigest(), licence="Apache-2.0", source="",
        head=head, classes=dict(COCO), score_threshold=0.4, input=ModelInput(width_px=416, height_px=416, **changes),
    )  # type: ignore[arg-type]  # fmt: skip


def data_card(data: Path, model: str) -> ModelCard:
    """The shipped detector, or one of the public ones."""
    if model == "ssd":
        return find_card("ssd_mobilenet_v3_large")
    if model == "yolox":
        return public_card(data, "yolox_nano_416x416", "yolox", name="images", colour="bgr")
    return public_card(
        data, "picodet_s_416_coco", "picodet", name="image", resize="stretch",
        mean=(123.675, 116.28, 103.53), std=(58.395, 57.12, 57.375),
    )  # fmt: skip


def test_a_blank_picture_gives_no_box() -> None:
    card = find_card("ssd_mobilenet_v3_large")
    assert len(OnnxDetector(card, threads=1).detect(make_batch(card, [0.0, 1.0, -1.0]))) == 0


@pytest.mark.data
@pytest.mark.parametrize("model", ["ssd", "yolox", "picodet"])
def test_the_cars_of_a_motorway_are_found(data: Path, model: str) -> None:
    found = detect(data_card(data, model), still(data, "session2_center.jpg"))
    vehicles = [box for kind, box in found if kind <= VehicleClass.BUS]
    for where in ([236, 18, 296, 74], [840, 92, 960, 168]):
        want = np.array(where) * 2
        best = max(vehicles, key=lambda box: -np.abs(np.array(box) - want).max())
        assert np.abs(np.array(best) - want).max() < 30, vehicles
