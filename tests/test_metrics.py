from __future__ import annotations

import urllib.request

from prometheus_client import Counter, Gauge, Histogram, generate_latest

from engine.metrics import Metrics, expose

EXPORTED = """
counter qyran_auth_failures_total
counter qyran_candidates_left_out_total
counter qyran_case_conflicts_total camera
counter qyran_cases_total camera,kind
counter qyran_clock_jumps_total camera
counter qyran_connects_total camera
counter qyran_decode_fallbacks_total camera,reason
counter qyran_deliveries_total recipient,result
counter qyran_detections_total camera
counter qyran_entries_sent_total
counter qyran_evidence_failures_total camera
counter qyran_evidence_unsigned_total camera
counter qyran_frames_total camera
counter qyran_frames_unjudged_total camera,reason
counter qyran_gpu_xids_total gpu,xid
counter qyran_long_gops_total camera
counter qyran_packets_discarded_total camera
counter qyran_packets_total camera
counter qyran_plates_total camera,result
counter qyran_rate_limited_total
counter qyran_received_bytes_total camera
counter qyran_reconnects_total camera,reason
counter qyran_section_passages_total section,finding
counter qyran_segments_corrupt_total camera
counter qyran_segments_dropped_total camera,reason
counter qyran_segments_total camera
counter qyran_signal_contradictions_total camera,signal
counter qyran_signal_looks_total camera,signal,phase
counter qyran_signal_reports_total controller
counter qyran_tracks_total camera
counter qyran_view_unclear_total camera
counter qyran_violations_dropped_total camera,kind,reason
counter qyran_violations_lost_total camera
counter qyran_violations_total camera,kind,outcome
gauge qyran_camera_connected camera
gauge qyran_camera_moved camera
gauge qyran_cameras_left_out
gauge qyran_certificate_expiry_timestamp_seconds
gauge qyran_clock_state camera
gauge qyran_consumer_lag_entries consumer
gauge qyran_decode_batch_limit
gauge qyran_decoder_info decoder,device
gauge qyran_deliveries_pending recipient
gauge qyran_deliveries_refused recipient
gauge qyran_delivery_breaker recipient
gauge qyran_delivery_oldest_pending_timestamp_seconds recipient
gauge qyran_detector_info model,runtime,fallback
gauge qyran_gpu_busy_ratio gpu,part
gauge qyran_gpu_memory_bytes gpu,state
gauge qyran_last_frame_timestamp_seconds camera
gauge qyran_mailbox_segments camera
gauge qyran_ledger_sequence
gauge qyran_retention_paused
gauge qyran_signal_phase camera,signal
gauge qyran_signal_reported_timestamp_seconds controller
gauge qyran_storage_refuses
gauge qyran_unrecorded_cases
gauge qyran_view_drift_pixels camera
gauge qyran_watchers
histogram qyran_capture_to_ledger_seconds camera
histogram qyran_decode_batch_segments
histogram qyran_stage_seconds stage
"""
"""What dashboards and alerts of other houses rest on: type, name, labels. A change here changes the interface."""


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


def test_what_is_exported_stays_what_it_is() -> None:
    exported = {
        f"{metric._type} {metric._name}{'_total' * (metric._type == 'counter')} {','.join(metric._labelnames)}".strip()
        for metric in vars(Metrics()).values()
        if isinstance(metric, Counter | Gauge | Histogram)
    }
    assert exported == set(EXPORTED.strip().splitlines())


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
    with expose(metrics, "127.0.0.1", 0) as port:
        assert b"qyran_watchers" in fetch(f"http://127.0.0.1:{port}/metrics")
    with expose(metrics, "127.0.0.1", port) as again:
        assert again == port
