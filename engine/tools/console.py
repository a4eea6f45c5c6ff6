"""The demo's view of a running engine: a table of the cameras and a table of the newest cases."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime
from typing import Any

import msgspec
from rich.console import Console, Group
from rich.live import Live
from rich.table import Table

from engine.metrics import Metrics
from engine.types import Clock, Entry

_REFRESH_S = 1.0
_PLAIN_S = 10.0
"""Interval at which the tables are printed if the output is not a terminal."""
_NEWEST = 8


class ConsoleTable:
    """Draws the engine's metrics and newest cases. `add` is cheap: call it after every batch."""

    def __init__(self, metrics: Metrics, cameras: Sequence[str]) -> None:
        self._metrics = metrics
        self._cameras = cameras
        self._newest: deque[Entry] = deque(maxlen=_NEWEST)
        self._frames = dict.fromkeys(cameras, 0.0)
        self._rates = dict.fromkeys(cameras, 0.0)
        self._rated_s = time.monotonic()

    def add(self, entries: Iterable[Entry]) -> None:
        """Remember the newest entries."""
        self._newest.extend(entries)

    def draw(self) -> Group:
        """Both tables, with the current values."""
        self._update_rates()
        return Group(self._camera_table(), self._case_table())

    def _value(self, name: str, camera: str, **labels: str) -> float:
        return self._metrics.registry.get_sample_value(name, {"camera": camera, **labels}) or 0.0

    def _sum(self, name: str, camera: str) -> float:
        """Sum over all values of the metric's other labels."""
        return sum(
            sample.value
            for family in self._metrics.registry.collect()
            for sample in family.samples
            if sample.name == name and sample.labels.get("camera") == camera
        )

    def _update_rates(self) -> None:
        now_s = time.monotonic()
        if now_s - self._rated_s < _REFRESH_S:
            return
        for camera in self._cameras:
            frames = self._value("qyran_frames_total", camera)
            self._rates[camera] = (frames - self._frames[camera]) / (now_s - self._rated_s)
            self._frames[camera] = frames
        self._rated_s = now_s

    def _camera_table(self) -> Table:
        table = Table(title="Cameras", title_justify="left", expand=False)
        for column in ("camera", "state", "clock"):
            table.add_column(column)
        for column in ("analysed fps", "frame age s", "queued", "dropped", "reconnects", "violations", "latency s"):
            table.add_column(column, justify="right")
        for camera in self._cameras:
            table.add_row(camera, *self._camera_row(camera))
        return table

    def _camera_row(self, camera: str) -> tuple[str, ...]:
        newest_s = self._value("qyran_last_frame_timestamp_seconds", camera)
        clock = int(self._value("qyran_clock_state", camera))
        recorded = self._value("qyran_capture_to_ledger_seconds_count", camera)
        return (
            "[green]up[/]" if self._value("qyran_camera_connected", camera) else "[red]down[/]",
            Clock(clock).name.lower() if clock else "-",
            f"{self._rates[camera]:.1f}",
            f"{time.time() - newest_s:.1f}" if newest_s else "-",
            f"{self._value('qyran_mailbox_segments', camera):.0f}",
            f"{self._sum('qyran_segments_dropped_total', camera):.0f}",
            f"{self._sum('qyran_reconnects_total', camera):.0f}",
            f"{self._sum('qyran_violations_total', camera):.0f}",
            f"{self._value('qyran_capture_to_ledger_seconds_sum', camera) / recorded:.1f}" if recorded else "-",
        )

    def _case_table(self) -> Table:
        table = Table(title="Newest cases", title_justify="left", expand=False)
        for column in ("no.", "time (UTC)", "camera", "kind", "what", "outcome"):
            table.add_column(column, justify="right" if column == "no." else "left")
        for entry in reversed(self._newest):
            case = entry.case
            when = datetime.fromtimestamp(case.occurred_s, UTC).strftime("%H:%M:%S")
            document = msgspec.json.decode(case.document)
            table.add_row(
                str(entry.sequence), when, case.camera, case.kind, describe(document), document.get("outcome", "")
            )
        return table


def describe(document: dict[str, Any]) -> str:
    """A case in a few words, without what it lacks: `car 908ZKA01 (99 %), 92 km/h, limit 60`."""
    plate, measurement = document.get("plate"), document.get("measurement")
    words = [str(document["vehicle_class"])]
    if plate:
        words[0] += f" {plate['text']} ({plate['confidence']:.0%})".replace("%", " %")
    if measurement:
        words.append(f"{measurement['enforced_kmh']} km/h, limit {measurement['limit_kmh']:g}")
    return ", ".join(words)


def show(console: Console, table: ConsoleTable, steps: Iterable[Sequence[Entry]]) -> Iterator[Sequence[Entry]]:
    """Pass `steps` through and draw the table: continuously on a terminal, otherwise every 10 s."""
    if not console.is_terminal:
        yield from _show_plain(console, table, steps)
        return
    with Live(table.draw(), console=console, refresh_per_second=4, transient=False) as live:
        for entries in steps:
            table.add(entries)
            live.update(table.draw())
            yield entries


def _show_plain(console: Console, table: ConsoleTable, steps: Iterable[Sequence[Entry]]) -> Iterator[Sequence[Entry]]:
    shown_s = time.monotonic()
    for entries in steps:
        table.add(entries)
        if time.monotonic() - shown_s >= _PLAIN_S:
            console.print(table.draw())
            shown_s = time.monotonic()
        yield entries
    console.print(table.draw())
