"""Every metric of the engine (Prometheus naming: base units, `_total` for counters).

The registry is passed in, so that two engines in one process, or a test, do not share numbers. A metric with the label
`camera` belongs to the cameras: `add_camera` creates its series and `remove_camera` removes them, so that a camera that
is gone leaves no stale number behind.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from threading import Thread
from typing import TypeVar
from wsgiref.simple_server import WSGIServer

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, start_http_server

DROP_REASONS = ("mailbox_full", "camera_full", "stopped")
FALLBACK_REASONS = ("lossy", "codec", "pixel_format", "size", "packets", "device", "memory")
"""Why the CPU decodes a segment that a device could decode:

lossy         packets may be missing, which a device does not notice
codec         the device does not decode the codec
pixel_format  the device does not decode the pixel format
size          the picture has another size than the stream states
packets       a packet brings no picture, or the key frame does not decode
device        the device refused the segment
memory        the device's memory does not hold even this one segment
"""
STAGES = ("decode", "detect", "track", "measure", "judge", "identify", "build_evidence", "append")
_LATENCY_S = (0.5, 1, 2, 3, 4, 5, 6, 8, 10, 15, 20, 30, 60, 120)
_BATCH = (1, 2, 4, 8, 16, 32, 64, 128)
_STAGE_S = (0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1, 3, 10)

Metric = Counter | Gauge | Histogram
M = TypeVar("M", Counter, Gauge, Histogram)


class Metrics:
    """The engine's metrics in `registry`, or in a new one."""

    def __init__(self, registry: CollectorRegistry | None = None) -> None:
        self.registry = registry or CollectorRegistry()
        self._of_camera: list[Metric] = []
        self._of_camera_alone: list[Metric] = []
        self._add_video()
        self._add_findings()
        self._add_output()

    def _add_video(self) -> None:
        """Ingest, decoding and the GPU."""
        counter, gauge, histogram = self._counter, self._gauge, self._histogram
        self.segments = counter("qyran_segments_total", "Segments received", "camera")
        self.packets = counter("qyran_packets_total", "Packets received", "camera")
        self.received_bytes = counter("qyran_received_bytes_total", "Bytes of payload received", "camera")
        self.connects = counter("qyran_connects_total", "Connections to a camera", "camera")
        self.reconnects = counter("qyran_reconnects_total", "Reconnections after a lost stream", "camera", "reason")
        self.connected = gauge("qyran_camera_connected", "1 while packets arrive", "camera")
        self.last_frame_s = gauge("qyran_last_frame_timestamp_seconds", "Capture time of the newest frame", "camera")
        self.clock_state = gauge(
            "qyran_clock_state", "Source of time: 1 sender reports, 2 arrival, 3 declared, 4 unstable", "camera"
        )
        self.clock_jumps = counter("qyran_clock_jumps_total", "Jumps of a camera's clock against arrival", "camera")
        self.long_gops = counter("qyran_long_gops_total", "GOPs that were cut because they were too long", "camera")
        self.discarded = counter("qyran_packets_discarded_total", "Packets that belong to no segment", "camera")
        self.dropped = counter("qyran_segments_dropped_total", "Segments dropped before decoding", "camera", "reason")
        self.queued = gauge("qyran_mailbox_segments", "Segments waiting for the pipeline", "camera")
        self.cameras_left_out = gauge("qyran_cameras_left_out", "Cameras that should be watched and cannot be opened")
        self.decoder = gauge("qyran_decoder_info", "1 for the decoder that runs", "decoder", "device")
        self.corrupt = counter("qyran_segments_corrupt_total", "Segments that did not decode", "camera")
        self.fallbacks = counter(
            "qyran_decode_fallbacks_total", "Segments decoded by the CPU instead of a device", "camera", "reason"
        )
        self.decode_batch = histogram(
            _BATCH, "qyran_decode_batch_segments", "Segments that the device decoded in one run"
        )
        self.decode_batch_limit = gauge("qyran_decode_batch_limit", "Limit for segments per run of the device")
        self.gpu_memory = gauge("qyran_gpu_memory_bytes", "Memory of a GPU", "gpu", "state")
        self.gpu_busy = gauge("qyran_gpu_busy_ratio", "Share of time for which a part of a GPU was busy", "gpu", "part")
        self.gpu_xids = counter("qyran_gpu_xids_total", "Xid errors that a GPU reported", "gpu", "xid")

    def _add_findings(self) -> None:
        """From frames to violations with their evidence."""
        counter, gauge, histogram = self._counter, self._gauge, self._histogram
        self.stage_s = histogram(_STAGE_S, "qyran_stage_seconds", "Wall time of a stage per batch", "stage")
        for stage in STAGES:
            self.stage_s.labels(stage)
        self.frames = counter("qyran_frames_total", "Frames decoded for detection", "camera")
        self.detector = gauge("qyran_detector_info", "1 for the detector that runs", "model", "runtime", "fallback")
        self.detections = counter("qyran_detections_total", "Boxes found", "camera")
        self.left_out = counter("qyran_candidates_left_out_total", "Boxes of a network beyond the limit of a picture")
        self.tracks = counter("qyran_tracks_total", "Tracks that ended", "camera")
        self.view_drift_px = gauge("qyran_view_drift_pixels", "Drift of the view from the calibration", "camera")
        self.camera_moved = gauge("qyran_camera_moved", "1 while a camera's measured kinds are suspended", "camera")
        self.view_unclear = counter("qyran_view_unclear_total", "Drift checks without a clear result", "camera")
        self.signal_phase = gauge(
            "qyran_signal_phase", "Phase that a signal shows (types.Phase); 0 is unknown", "camera", "signal"
        )
        self.signal_looks = counter(
            "qyran_signal_looks_total", "Readings of a signal, by phase known or unknown", "camera", "signal", "phase"
        )
        self.signal_contradictions = counter(
            "qyran_signal_contradictions_total", "Readings in which lamps and controller disagree", "camera", "signal"
        )
        self.signal_reports = counter("qyran_signal_reports_total", "Reports accepted from a controller", "controller")
        self.signal_reported_s = gauge(
            "qyran_signal_reported_timestamp_seconds", "Time up to which a controller reported its phases", "controller"
        )
        self.unjudged = counter("qyran_frames_unjudged_total", "Frames to which no rule applied", "camera", "reason")
        self.violations = counter("qyran_violations_total", "Violations judged", "camera", "kind", "outcome")
        self.plates = counter("qyran_plates_total", "Vehicles searched for a plate, by result", "camera", "result")
        self.section_drives = counter(
            "qyran_section_passages_total", "Crossings and drives of a section, by result", "section", "finding"
        )
        self.dropped_violations = counter(
            "qyran_violations_dropped_total", "Violations that identification dropped", "camera", "kind", "reason"
        )
        self.incomplete = counter("qyran_evidence_failures_total", "Cases whose evidence is incomplete", "camera")
        self.unsigned = counter("qyran_evidence_unsigned_total", "Cases without a signature", "camera")
        self.lost = counter("qyran_violations_lost_total", "Violations lost without a case", "camera")

    def _add_output(self) -> None:
        """Ledger, delivery and service."""
        counter, gauge, histogram = self._counter, self._gauge, self._histogram
        self.ledger_sequence = gauge("qyran_ledger_sequence", "Sequence of the newest entry")
        self.cases = counter("qyran_cases_total", "Cases appended to the ledger", "camera", "kind")
        self.conflicts = counter("qyran_case_conflicts_total", "Cases in the ledger with other content", "camera")
        self.latency_s = histogram(
            _LATENCY_S, "qyran_capture_to_ledger_seconds", "From the decisive instant to the ledger", "camera"
        )
        self.unrecorded = gauge("qyran_unrecorded_cases", "Cases waiting in memory")
        self.retention_paused = gauge("qyran_retention_paused", "1 while retention waits because the clock is in doubt")
        self.storage_refuses = gauge("qyran_storage_refuses", "1 while nothing can be recorded; measured kinds wait")
        self.deliveries = counter("qyran_deliveries_total", "Submissions to a recipient", "recipient", "result")
        self.deliveries_pending = gauge(
            "qyran_deliveries_pending", "Cases not accepted yet by a recipient", "recipient"
        )
        self.deliveries_refused = gauge(
            "qyran_deliveries_refused", "Cases that a recipient refused for good", "recipient"
        )
        self.delivery_oldest_s = gauge(
            "qyran_delivery_oldest_pending_timestamp_seconds",
            "When the oldest pending case was recorded; or 0",
            "recipient",
        )
        self.delivery_breaker = gauge(
            "qyran_delivery_breaker",
            "Circuit breaker: 0 closed, 1 open: the recipient is down, 2 half-open",
            "recipient",
        )
        self.watchers = gauge("qyran_watchers", "Open watch streams")
        self.sent = counter("qyran_entries_sent_total", "Entries sent on watch streams")
        self.consumer_lag = gauge(
            "qyran_consumer_lag_entries", "Entries that a consumer has not acknowledged", "consumer"
        )
        self.auth_failures = counter("qyran_auth_failures_total", "Calls without a valid credential or role")
        self.rate_limited = counter("qyran_rate_limited_total", "Calls refused by the rate limit")
        self.certificate_ends_s = gauge(
            "qyran_certificate_expiry_timestamp_seconds", "Time at which the service's certificate expires"
        )

    def _counter(self, name: str, text: str, *labels: str) -> Counter:
        return self._remember(Counter(name, text, labels, registry=self.registry), labels)

    def _gauge(self, name: str, text: str, *labels: str) -> Gauge:
        return self._remember(Gauge(name, text, labels, registry=self.registry), labels)

    def _histogram(self, buckets: Sequence[float], name: str, text: str, *labels: str) -> Histogram:
        return self._remember(Histogram(name, text, labels, registry=self.registry, buckets=buckets), labels)

    def _remember(self, metric: M, labels: tuple[str, ...]) -> M:
        """Note whether the metric's series belong to a camera."""
        if "camera" in labels:
            self._of_camera.append(metric)
        if labels == ("camera",):
            self._of_camera_alone.append(metric)
        return metric

    def add_camera(self, camera: str) -> None:
        """Create the camera's series, at zero."""
        for metric in self._of_camera_alone:
            metric.labels(camera)
        for reason in DROP_REASONS:
            self.dropped.labels(camera, reason)

    def add_signal(self, camera: str, signal: str) -> None:
        """Create the series of a camera's signal, at zero."""
        self.signal_phase.labels(camera, signal)
        self.signal_contradictions.labels(camera, signal)
        for phase in ("known", "unknown"):
            self.signal_looks.labels(camera, signal, phase)

    def remove_camera(self, camera: str) -> None:
        """Remove every series of the camera."""
        for metric in self._of_camera:
            metric.remove_by_labels({"camera": camera})


@contextmanager
def expose(metrics: Metrics, host: str, port: int) -> Iterator[int]:
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
