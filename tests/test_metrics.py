from __future__ import annotations

import urllib.request

from prometheus_client import Counter, Gauge, Histogram, generate_latest

from engine.metrics import Metrics, expose

EXPORTED = """
counter: auth_failures_total candidates_left_out_total entries_sent_total rate_limited_total
counter camera: case_conflicts_total clock_jumps_total connects_total detections_total evidence_failures_total
counter camera: evidence_unsigned_total frames_total long_gops_total packets_discarded_total packets_total
counter camera: received_bytes_total segments_corrupt_total segments_total tracks_total view_unclear_total
counter camera: violations_lost_total
counter camera,kind: cases_total
counter camera,reason: decode_fallbacks_total frames_unjudged_total reconnects_total segments_dropped_total
counter recipient,result: deliveries_total
counter gpu,xid: gpu_xids_total
counter camera,result: plates_total
counter section,finding: section_passages_total
counter camera,signal: signal_contradictions_total
counter camera,signal,phase: signal_looks_total
counter controller: signal_reports_total
counter camera,kind,reason: violations_dropped_total
counter camera,kind,outcome: violations_total
gauge camera: camera_connected camera_moved clock_state last_frame_timestamp_seconds mailbox_segments
gauge camera: view_drift_pixels
gauge: cameras_left_out certificate_expiry_timestamp_seconds decode_batch_limit ledger_sequence retention_paused
gauge: storage_refuses unrecorded_cases watchers
gauge consumer: consumer_lag_entries
gauge decoder,device: decoder_info
gauge recipient: deliveries_pending deliveries_refused delivery_breaker delivery_oldest_pending_timestamp_seconds
gauge model,runtime,fallback: detector_info
gauge gpu,part: gpu_busy_ratio
gauge gpu,state: gpu_memory_bytes
gauge camera,signal: signal_phase
gauge controller: signal_reported_timestamp_seconds
histogram camera: capture_to_ledger_seconds
histogram: decode_batch_segments
histogram stage: stage_seconds
"""
"""The contract with dashboards and alerts: type, labels, names without `qyran_`. A change changes the interface."""


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


def test_the_exported_metrics_keep_their_types_labels_and_names() -> None:
    exported = {
        (
            f"{metric._type} {','.join(metric._labelnames)}".strip(),
            metric._name + "_total" * (metric._type == "counter"),
        )
        for metric in vars(Metrics()).values()
        if isinstance(metric, Counter | Gauge | Histogram)
    }
    rows = (line.split(": ") for line in EXPORTED.strip().splitlines())
    assert exported == {(key, f"qyran_{name}") for key, names in rows for name in names.split()}


def test_the_series_of_a_camera_start_at_zero() -> None:
    metrics = Metrics()
    metrics.add_camera("gate")
    assert 'qyran_segments_total{camera="gate"} 0.0' in exposition(metrics)
    assert 'qyran_segments_dropped_total{camera="gate",reason="mailbox_full"} 0.0' in exposition(metrics)


def test_a_removed_camera_leaves_no_series() -> None:
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


def test_the_endpoint_serves_and_releases_its_port() -> None:
    metrics = Metrics()
    with expose(metrics, "127.0.0.1", 0) as port:
        assert b"qyran_watchers" in fetch(f"http://127.0.0.1:{port}/metrics")
    with expose(metrics, "127.0.0.1", port) as again:
        assert again == port
