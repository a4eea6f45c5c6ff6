"""One case: every byte of it, its seal and its signature."""

from __future__ import annotations

import hashlib
import subprocess
from pathlib import Path

import msgspec
import pytest

from engine.evidence import SigningKey, manifest, verify_case
from engine.evidence.chain import NO_SEAL, Seal
from engine.types import Segment
from rig.evidence_bench import Bench, build_case

FLIPS = 40
"""Places in every file that are tried."""


@pytest.fixture
def signed(tmp_path: Path, footage: list[Segment], key: SigningKey) -> Path:
    bench = Bench(tmp_path / "evidence", key=key)
    return bench.root / build_case(bench, footage)[0].folder


@pytest.fixture
def unsigned(tmp_path: Path, footage: list[Segment]) -> Path:
    bench = Bench(tmp_path / "unsigned")
    return bench.root / build_case(bench, footage)[0].folder


def seal_of(case: Path) -> Seal:
    return msgspec.json.decode((case / "seal.json").read_bytes(), type=Seal)


def flip(path: Path, place: int) -> bytes:
    """Flip a bit; returns what was there."""
    whole = path.read_bytes()
    content = bytearray(whole)
    content[place] ^= 1 << place % 8
    path.write_bytes(content)
    return whole


def test_a_flipped_bit_in_any_file_of_a_signed_case_is_found(signed: Path, key: SigningKey):
    names = sorted(path.name for path in signed.iterdir())
    assert {"case.json", "clip.mp4", "overview.jpg", "manifest.json", "seal.json", "seal.sig"} <= set(names)
    for name in names:
        size = (signed / name).stat().st_size
        for place in {*range(0, size, max(1, size // FLIPS)), size - 1}:
            whole = flip(signed / name, place)
            assert verify_case(signed), (name, place)
            (signed / name).write_bytes(whole)
    assert verify_case(signed, [key.public]) == []


@pytest.mark.parametrize("name", ["case.json", "clip.mp4", "overview.jpg", "still-last.jpg", "vehicle.jpg"])
def test_a_changed_file_is_named(unsigned: Path, name: str):
    flip(unsigned / name, 100)
    assert verify_case(unsigned) == [f"{name}: was changed: its SHA-256 differs"]


def test_a_missing_and_an_extra_file_are_found(unsigned: Path):
    (unsigned / "clip.mp4").rename(unsigned / "other.mp4")
    assert verify_case(unsigned) == ["other.mp4: is not in the manifest", "clip.mp4: is missing"]


@pytest.mark.parametrize("name", ["manifest.json", "seal.json"])
def test_a_folder_without_its_manifest_or_its_seal_is_a_problem(unsigned: Path, name: str):
    (unsigned / name).unlink()
    assert verify_case(unsigned)[0].startswith(f"{name}: cannot be read")


def test_a_missing_folder_is_a_problem(tmp_path: Path):
    assert verify_case(tmp_path / "nowhere")[0].startswith("manifest.json: cannot be read")


def test_a_manifest_rewritten_to_fit_a_changed_still_contradicts_document_and_seal(unsigned: Path):
    (unsigned / "overview.jpg").write_bytes(b"forged")
    whole = msgspec.json.decode((unsigned / "manifest.json").read_bytes(), type=manifest.Manifest)
    files = tuple(f if f.name != "overview.jpg" else manifest.describe(f.name, b"forged") for f in whole.files)
    (unsigned / "manifest.json").write_bytes(manifest.encode(msgspec.structs.replace(whole, files=files)))
    assert verify_case(unsigned) == [
        "case.json: lists other files than the manifest",
        "seal.json: belongs to another manifest",
    ]


def test_a_folder_under_another_name_is_found(unsigned: Path):
    moved = unsigned.rename(unsigned.with_name("gate-other"))
    assert "the folder gate-other" in verify_case(moved)[0]


# -- the signature


def test_the_seal_names_manifest_place_in_the_chain_and_key(signed: Path, key: SigningKey):
    seal = seal_of(signed)
    assert seal.manifest_sha256 == hashlib.sha256((signed / "manifest.json").read_bytes()).hexdigest()
    assert (seal.number, seal.previous_sha256, seal.case) == (1, NO_SEAL, signed.name)
    assert seal.chain.startswith("QY-0001-")
    assert seal.key == key.public


def test_a_case_that_another_key_signed_is_found(signed: Path, key: SigningKey, other_key: SigningKey):
    content = msgspec.json.encode(msgspec.structs.replace(seal_of(signed), public_key=other_key.public.hex))
    (signed / "seal.json").write_bytes(content)
    (signed / "seal.sig").write_bytes(other_key.sign(content))
    assert verify_case(signed) == []  # consistent by itself: only the engine's key shows the change
    assert verify_case(signed, [key.public]) == [
        f"seal.json: is signed by the key {other_key.public.id}, which is not one of the given keys"
    ]


def test_a_signature_by_another_key_than_the_named_one_is_found(signed: Path, other_key: SigningKey):
    (signed / "seal.sig").write_bytes(other_key.sign((signed / "seal.json").read_bytes()))
    assert verify_case(signed) == ["seal.sig: is not a signature of seal.json"]


def test_a_signature_that_was_taken_away_is_found(signed: Path, key: SigningKey):
    (signed / "seal.sig").unlink()
    assert verify_case(signed) == ["seal.sig: is not a signature of seal.json"]
    (signed / "seal.json").write_bytes(msgspec.json.encode(msgspec.structs.replace(seal_of(signed), public_key=None)))
    assert verify_case(signed, [key.public]) == ["seal.json: is not signed"]


@pytest.mark.parametrize("is_signed", [True, False])
def test_a_case_names_its_signing_key_and_is_counted_without_one(tmp_path: Path, footage, key, is_signed: bool):
    bench = Bench(tmp_path / "evidence", key=key if is_signed else None)
    case, record = build_case(bench, footage)
    assert record.device.signing_key == (key.public.id if is_signed else None)
    assert seal_of(bench.root / case.folder).public_key == (key.public.hex if is_signed else None)
    assert ("seal.sig" in [file.name for file in case.files]) is is_signed
    unsigned = bench.metrics.registry.get_sample_value("qyran_evidence_unsigned_total", {"camera": "gate"})
    assert unsigned == (0 if is_signed else 1)


def test_the_commands_of_the_manual_verify_a_case_without_this_program(signed: Path, tmp_path: Path):
    page = (Path(__file__).resolve().parents[2] / "docs" / "evidence.md").read_text(encoding="utf-8")
    script = page.partition("```sh\n# by hand\n")[2].partition("```")[0]
    assert script
    assert by_hand(script, signed, tmp_path) == 0
    flip(signed / "clip.mp4", 100)
    assert by_hand(script, signed, tmp_path) != 0
    flip(signed / "clip.mp4", 100)
    flip(signed / "seal.json", 30)
    assert by_hand(script, signed, tmp_path) != 0


def by_hand(script: str, case: Path, keys: Path) -> int:
    command = ["bash", "-eo", "pipefail", "-c", script]
    variables = {"KEY": str(keys / "key.pem.pub"), "PATH": "/usr/bin:/bin"}
    return subprocess.run(command, cwd=case, env=variables, capture_output=True).returncode
