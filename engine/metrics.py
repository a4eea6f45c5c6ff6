"""Every metric of the engine on one page (Prometheus naming: base units, `_total` for counters).

The registry is handed in, so that two engines in one process, or a test, do not share numbers. The series of a camera
are born with `add_camera` and removed with `remove_camera`: a camera that is gone leaves no stale number behind.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from threading import Thread
from typing import Protocol
from wsgiref.simple_server import WSGIServer

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, start_http_server

DROP_REASONS = ("mailbox_full", "camera_full", "stopped")
FALLBACK_REASONS = ("lossy", "codec", "pixel_format", "size", "packets", "device", "memory")
"""Why the CPU decodes a segment where a device could: packets may be missing, which a device does not notice; it does
not take the codec or the pixel format; the picture is of another size than the stream says; a packet brings no picture,
or the key frame does not decode; the device has refused the segment; its memory does not even hold this one."""
STAGES = ("decode", "detect", "track", "measure", "judge", "investigate", "prove", "append")
_LATENCY_S = (0.5, 1, 2, 3, 4, 5, 6, 8, 10, 15, 20, 30, 60, 120)
_BATCH = (1, 2, 4, 8, 16, 32, 64, 128)
_STAGE_S = (0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1, 3, 10)


class _Labelled(Protocol):
    def remove_by_labels(self, labels: dict[str, str]) -> None: ...


class Metrics:
    """The engine's metrics in `registry`."""

    def __init__(self, registry: CollectorRegistry | None = None) -> None:
        self.registry = registry = registry or CollectorRegistry()
        # ingest
        self.segments = Counter("qyran_segments_total", "Segments received", ["camera"], registry=registry)
        self.packets = Counter("qyran_packets_total", "Packets received", ["camera"], registry=registry)
        self.received_bytes = Counter("qyran_received_bytes_total", "Payload received", ["camera"], registry=registry)
        self.connects = Counter("qyran_connects_total", "Times a stream was opened", ["camera"], registry=registry)
        self.reconnects = Counter(
            "qyran_reconnects_total", "Times a stream was lost and retried", ["camera", "reason"], registry=registry
        )
        self.connected = Gauge("qyran_camera_connected", "1 while packets arrive", ["camera"], registry=registry)
        self.last_frame_s = Gauge(
            "qyran_last_frame_timestamp_seconds", "Capture time of the newest frame", ["camera"], registry=registry
        )
        self.clock_state = Gauge(
            "qyran_clock_state", "1 sender reports, 2 arrival, 3 declared, 4 unstable", ["camera"], registry=registry
        )
        self.clock_jumps = Counter(
            "qyran_clock_jumps_total", "Jumps of a camera's clock against arrival", ["camera"], registry=registry
        )
        self.long_gops = Counter(
            "qyran_long_gops_total", "Runs without a key frame that were cut off", ["camera"], registry=registry
        )
        self.discarded = Counter(
            "qyran_packets_discarded_total", "Packets that belong to no segment", ["camera"], registry=registry
        )
        # mailbox
        self.dropped = Counter(
            "qyran_segments_dropped_total", "Segments that were not looked at", ["camera", "reason"], registry=registry
        )
        self.queued = Gauge("qyran_mailbox_segments", "Segments waiting", ["camera"], registry=registry)
        # decoder on a device
        self.decoder = Gauge(
            "qyran_decoder_info", "1 for the decoder that runs", ["decoder", "device"], registry=registry
        )
        self.fallbacks = Counter(
            "qyran_decode_fallbacks_total",
            "Segments that the CPU decoded where a device could",
            ["camera", "reason"],
            registry=registry,
        )
        self.decode_batch = Histogram(
            "qyran_decode_batch_segments", "Segments that the device decoded at once", buckets=_BATCH, registry=registry
        )
        self.decode_batch_limit = Gauge(
            "qyran_decode_batch_limit", "Segments that the device may decode at once", registry=registry
        )
        # GPU
        self.gpu_memory = Gauge("qyran_gpu_memory_bytes", "Memory of a GPU", ["gpu", "state"], registry=registry)
        self.gpu_busy = Gauge(
            "qyran_gpu_busy_ratio", "Share of time that a part of a GPU was busy", ["gpu", "part"], registry=registry
        )
        self.gpu_xids = Counter("qyran_gpu_xids_total", "Errors that a GPU reported", ["gpu", "xid"], registry=registry)
        # batch
        self.corrupt = Counter(
            "qyran_segments_corrupt_total", "Segments that did not decode", ["camera"], registry=registry
        )
        self.frames = Counter("qyran_frames_total", "Frames looked at", ["camera"], registry=registry)
        self.detections = Counter("qyran_detections_total", "Boxes found", ["camera"], registry=registry)
        self.detector = Gauge(
            "qyran_detector_info", "1 for the detector that runs", ["model", "runtime", "fallback"], registry=registry
        )
        self.left_out = Counter(
            "qyran_candidates_left_out_total", "Boxes of a network for which a picture had no room", registry=registry
        )
        self.tracks = Counter("qyran_tracks_total", "Tracks that ended", ["camera"], registry=registry)
        self.unjudged = Counter(
            "qyran_frames_unjudged_total", "Frames that no rule was applied to", ["camera", "reason"], registry=registry
        )
        self.view_drift_px = Gauge(
            "qyran_view_drift_pixels", "Drift against the calibration's still", ["camera"], registry=registry
        )
        self.camera_moved = Gauge(
            "qyran_camera_moved", "1 while a camera's measured kinds are suspended", ["camera"], registry=registry
        )
        self.view_unclear = Counter(
            "qyran_view_unclear_total", "Looks that could not tell the drift", ["camera"], registry=registry
        )
        self.signal_phase = Gauge(
            "qyran_signal_phase", "Phase shown (types.Phase), 0 unknown", ["camera", "signal"], registry=registry
        )
        self.signal_looks = Counter(
            "qyran_signal_looks_total",
            "Looks at a signal, by whether its phase could be told",
            ["camera", "signal", "phase"],
            registry=registry,
        )
        self.signal_contradictions = Counter(
            "qyran_signal_contradictions_total",
            "Looks at which lamps and controller said different things",
            ["camera", "signal"],
            registry=registry,
        )
        self.signal_reports = Counter(
            "qyran_signal_reports_total", "Reports of a controller taken in", ["controller"], registry=registry
        )
        self.signal_reported_s = Gauge(
            "qyran_signal_reported_timestamp_seconds",
            "Until when a controller has told its phases",
            ["controller"],
            registry=registry,
        )
        self.violations = Counter(
            "qyran_violations_total", "Violations judged", ["camera", "kind", "outcome"], registry=registry
        )
        self.cases = Counter(
            "qyran_cases_total", "Cases appended to the register", ["camera", "kind"], registry=registry
        )
        self.plates = Counter(
            "qyran_plates_total", "Plates looked for, by what came of it", ["camera", "result"], registry=registry
        )
        self.section_drives = Counter(
            "qyran_section_passages_total",
            "Passages and drives of a section, by what became of them",
            ["section", "finding"],
            registry=registry,
        )
        self.dropped_violations = Counter(
            "qyran_violations_dropped_total",
            "Violations that the second look refuted",
            ["camera", "kind", "reason"],
            registry=registry,
        )
        self.unproved = Counter(
            "qyran_evidence_failures_total", "Cases whose evidence is incomplete", ["camera"], registry=registry
        )
        self.lost = Counter(
            "qyran_violations_lost_total", "Violations that no case could be made of", ["camera"], registry=registry
        )
        self.cameras_left_out = Gauge(
            "qyran_cameras_left_out", "Cameras that ought to be watched and cannot be opened", registry=registry
        )
        self.unrecorded = Gauge("qyran_unrecorded_cases", "Cases that wait in memory", registry=registry)
        self.storage_refuses = Gauge(
            "qyran_storage_refuses", "1 while nothing can be recorded and measured kinds pause", registry=registry
        )
        self.unsigned = Counter(
            "qyran_evidence_unsigned_total", "Cases that no key has signed", ["camera"], registry=registry
        )
        self.stage_s = Histogram(
            "qyran_stage_seconds", "Wall time of a stage per batch", ["stage"], buckets=_STAGE_S, registry=registry
        )
        self.conflicts = Counter(
            "qyran_case_conflicts_total",
            "Cases that the register holds with another content",
            ["camera"],
            registry=registry,
        )
        self.latency_s = Histogram(
            "qyran_capture_to_register_seconds",
            "From the decisive instant to the register",
            ["camera"],
            buckets=_LATENCY_S,
            registry=registry,
        )
        # delivery
        self.deliveries = Counter(
            "qyran_deliveries_total", "Submissions to a recipient", ["recipient", "result"], registry=registry
        )
        self.deliveries_pending = Gauge(
            "qyran_deliveries_pending", "Cases that a recipient has not taken yet", ["recipient"], registry=registry
        )
        self.deliveries_refused = Gauge(
            "qyran_deliveries_refused", "Cases that a recipient refused for good", ["recipient"], registry=registry
        )
        self.delivery_oldest_s = Gauge(
            "qyran_delivery_oldest_pending_timestamp_seconds",
            "When the oldest pending case was recorded; 0: none waits",
            ["recipient"],
            registry=registry,
        )
        self.delivery_breaker = Gauge(
            "qyran_delivery_breaker",
            "0 closed, 1 open: the recipient is down, 2 trying",
            ["recipient"],
            registry=registry,
        )
        # service
        self.register_sequence = Gauge("qyran_register_sequence", "Sequence of the newest entry", registry=registry)
        self.watchers = Gauge("qyran_watchers", "Open watch streams", registry=registry)
        self.sent = Counter("qyran_entries_sent_total", "Entries sent to watchers", registry=registry)
        self.consumer_lag = Gauge(
            "qyran_consumer_lag_entries",
            "Entries not acknowledged yet",
            ["consumer"],
            registry=registry,
        )
        self.auth_failures = Counter(
            "qyran_auth_failures_total", "Calls without a valid credential or role", registry=registry
        )
        self.rate_limited = Counter("qyran_rate_limited_total", "Calls refused as too many", registry=registry)
        self.certificate_ends_s = Gauge(
            "qyran_certificate_expiry_timestamp_seconds", "End of the service's certificate", registry=registry
        )
        for stage in STAGES:
            self.stage_s.labels(stage)

    def add_camera(self, camera: str) -> None:
        """Bring the camera's series to life at zero."""
        for metric in self._per_camera():
            metric.labels(camera)
        for reason in DROP_REASONS:
            self.dropped.labels(camera, reason)

    def add_signal(self, camera: str, signal: str) -> None:
        """Bring the series of a camera's signal to life."""
        self.signal_phase.labels(camera, signal)
        self.signal_contradictions.labels(camera, signal)
        for phase in ("known", "unknown"):
            self.signal_looks.labels(camera, signal, phase)

    def remove_camera(self, camera: str) -> None:
        """Take away every series of the camera."""
        with_reasons = (self.dropped, self.reconnects, self.fallbacks, self.unjudged, self.violations, self.cases)
        of_signals = (self.signal_phase, self.signal_looks, self.signal_contradictions)
        labelled: list[_Labelled] = [
            *self._per_camera(),
            *with_reasons,
            *of_signals,
            self.plates,
            self.dropped_violations,
        ]
        for metric in labelled:
            metric.remove_by_labels({"camera": camera})

    def _per_camera(self) -> tuple[Counter | Gauge | Histogram, ...]:
        return (
            self.segments,
            self.packets,
            self.received_bytes,
            self.connects,
            self.connected,
            self.last_frame_s,
            self.clock_state,
            self.clock_jumps,
            self.long_gops,
            self.discarded,
            self.queued,
            self.corrupt,
            self.frames,
            self.detections,
            self.tracks,
            self.view_drift_px,
            self.camera_moved,
            self.view_unclear,
            self.unproved,
            self.lost,
            self.unsigned,
            self.conflicts,
            self.latency_s,
        )


@contextmanager
def exposed(metrics: Metrics, host: str, port: int) -> Iterator[int]:
    """Serve the metrics over HTTP; yields the port."""
    server: WSGIServer
    thread: Thread
    server, thread = start_http_server(port, host, registry=metrics.registry)
    try:
        yield server.server_port
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
