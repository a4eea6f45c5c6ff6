from __future__ import annotations

import urllib.request

from prometheus_client import generate_latest

from engine.metrics import Metrics, exposed


def exposition(metrics: Metrics) -> str:
    return generate_latest(metrics.registry).decode()


def fetch(url: str) -> bytes:
    with urllib.request.urlopen(url, timeout=5) as answer:
        return bytes(answer.read())


def touch_everything(metrics: Metrics, camera: str) -> None:
    """One series of every metric that has a camera."""
    metrics.reconnects.labels(camera, "timed_out").inc()
    metrics.discarded.labels(camera).inc()
    metrics.unjudged.labels(camera, "picture_size").inc(3)
    metrics.violations.labels(camera, "speeding", "fine").inc()
    metrics.cases.labels(camera, "speeding").inc()
    metrics.latency_s.labels(camera).observe(2.5)


def test_the_series_of_a_camera_are_born_at_zero() -> None:
    metrics = Metrics()
    metrics.add_camera("gate")
    assert 'qyran_segments_total{camera="gate"} 0.0' in exposition(metrics)
    assert 'qyran_segments_dropped_total{camera="gate",reason="mailbox_full"} 0.0' in exposition(metrics)


def test_a_camera_that_is_removed_leaves_no_series_behind() -> None:
    metrics = Metrics()
    for camera in ("gate", "bridge"):
        metrics.add_camera(camera)
        touch_everything(metrics, camera)
    metrics.remove_camera("gate")
    assert 'camera="gate"' not in exposition(metrics)
    assert 'qyran_reconnects_total{camera="bridge",reason="timed_out"} 1.0' in exposition(metrics)


def test_two_engines_in_a_process_do_not_share_numbers() -> None:
    one, other = Metrics(), Metrics()
    one.frames.labels("gate").inc(7)
    assert 'qyran_frames_total{camera="gate"}' not in exposition(other)


def test_every_metric_with_a_camera_is_removed_with_it() -> None:
    metrics = Metrics()
    metrics.add_camera("gate")
    touch_everything(metrics, "gate")
    labelled = {
        family.name
        for family in metrics.registry.collect()
        for sample in family.samples
        if sample.labels.get("camera") == "gate"
    }
    assert len(labelled) > 15
    metrics.remove_camera("gate")
    assert not [s for f in metrics.registry.collect() for s in f.samples if s.labels.get("camera")]


def test_the_endpoint_serves_and_lets_go_of_its_port() -> None:
    metrics = Metrics()
    with exposed(metrics, "127.0.0.1", 0) as port:
        assert b"qyran_watchers" in fetch(f"http://127.0.0.1:{port}/metrics")
    with exposed(metrics, "127.0.0.1", port) as again:
        assert again == port
