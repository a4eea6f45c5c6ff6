"""The phases of the signals of all cameras, from lamps and reports, for the rules.

Both sources use the capture clock. Lamps are read in the frames that show the vehicle, so their times need no
synchronisation. A controller reports UTC of its own clock; for a camera with only arrival times its reports are used
with a wide margin. If the two sources disagree, the phase is unknown.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import structlog

from engine.errors import SignalError
from engine.metrics import Metrics
from engine.signals.controller import Controller, Report
from engine.signals.head import SignalHead, classify_lamps, phase_of_lamps
from engine.signals.timeline import Timeline, phases_agree
from engine.site import Signal, Site, WatchedCamera
from engine.site.signals import LampColour
from engine.types import Clock, FrameBatch, Ints, Lamps, Phase

log = structlog.get_logger()

LAMP_MARGIN_S = 0.05
"""Margin of instants from lamps: exposure, shutter, and a codec that shows a change late."""
CONTROLLER_MARGIN_S = 0.25
"""Margin of instants from a controller: two clocks that follow NTP, and the steps of its reports."""
ARRIVAL_MARGIN_S = 1.5
"""The same for a camera with arrival times, which are late by the camera's unknown delay."""
_VAGUE = (Phase.UNKNOWN, Phase.DARK)


@dataclass(slots=True)
class _SignalState:
    """One signal of one camera."""

    signal: Signal
    head: SignalHead | None
    controller: Controller | None
    first_lamp: int
    """Number of its first lamp among the lamps of the camera."""
    contradicted: bool = False
    """True if the two sources disagreed in the last batch."""

    def phase(self, states: Ints) -> Phase:
        """The phase of its lamps; `states` (L,) are those of all lamps of the camera."""
        colours = [lamp.colour for lamp in self.signal.lamps]
        return phase_of_lamps(states[self.first_lamp : self.first_lamp + len(colours)].tolist(), colours)


@dataclass(slots=True)
class _CameraSignals:
    name: str
    area: str
    signals: dict[str, _SignalState]
    colours: tuple[LampColour, ...] = ()
    """Colours of all its lamps."""
    clock: Clock = Clock.UNSTABLE
    """Clock of its newest frames."""


class SignalBook:
    """`stages.Signals`, and queries for the rules, all from one thread. `report` may be called from any thread."""

    def __init__(self, sites: Mapping[int, Site], names: Mapping[int, str], metrics: Metrics) -> None:
        """`sites` and `names` by camera index."""
        self._metrics = metrics
        self._controllers: dict[str, Controller] = {}
        self._cameras: dict[int, _CameraSignals] = {}
        for index, site in sites.items():
            self._add(index, names[index], site)

    def add_camera(self, index: int, camera: WatchedCamera) -> None:
        """Add the signals of one more camera; forget the controllers that no site names any more."""
        self._add(index, camera.name, camera.site)
        named = {watched.signal.controller for known in self._cameras.values() for watched in known.signals.values()}
        for controller in self._controllers.keys() - named:
            del self._controllers[controller]
            for metric in (self._metrics.signal_reports, self._metrics.signal_reported_s):
                metric.remove_by_labels({"controller": controller})

    def remove_camera(self, index: int) -> None:
        """Forget a camera. Its controllers stay until the next `add_camera`: a new site of the same camera may name
        them."""
        self._cameras.pop(index, None)

    def _add(self, index: int, name: str, site: Site) -> None:
        if not site.signals:
            return
        states, first = {}, 0
        for signal in site.signals:
            self._metrics.add_signal(name, signal.name)
            head = SignalHead() if signal.lamps else None
            states[signal.name] = _SignalState(signal, head, self._controller(signal), first)
            first += len(signal.lamps)
        colours = tuple(lamp.colour for lamp in site.lamps)
        self._cameras[index] = _CameraSignals(name, site.place.area, states, colours)

    def _controller(self, signal: Signal) -> Controller | None:
        """The signal's controller, shared by all cameras; None if the site names none."""
        name = signal.controller
        if not name:
            return None
        if name not in self._controllers:
            self._metrics.signal_reported_s.labels(name)
            self._controllers[name] = Controller(name)
        self._controllers[name].watch(signal.group)
        return self._controllers[name]

    # -- input

    @property
    def controllers(self) -> Mapping[str, Controller]:
        """The controllers by their names in the sites."""
        return self._controllers

    def cameras_of(self, controller: str) -> Sequence[tuple[str, str]]:
        """Name and area of each camera that uses the controller. From any thread."""
        return [
            (camera.name, camera.area)
            for camera in list(self._cameras.values())  # a copy: the thread of the pipeline may add cameras meanwhile
            if any(state.signal.controller == controller for state in camera.signals.values())
        ]

    def report(self, report: Report) -> bool:
        """Take in a report. Returns False for a repeated one. From any thread.

        Raises SignalError if no site names the controller, or if the report is not credible.
        """
        controller = self._controllers.get(report.controller)
        if controller is None:
            raise SignalError(f"controller: no site names a controller {report.controller!r}")
        fresh = controller.accept(report)
        if fresh:
            self._metrics.signal_reports.labels(report.controller).inc()
            self._metrics.signal_reported_s.labels(report.controller).set(report.reported_s)
        return fresh

    def observe(self, batch: FrameBatch, moved: frozenset[int]) -> None:
        """Take in the lamps of the next frames. Lamps of a camera that has moved are ignored."""
        for index, camera in list(self._cameras.items()):
            clocks = batch.frames.clock[batch.frames.camera == index]
            if len(clocks):
                camera.clock = Clock(int(clocks.max()))
                if index not in moved:
                    self._add_sightings(index, camera, batch)
                self._record(camera)

    def _add_sightings(self, index: int, camera: _CameraSignals, batch: FrameBatch) -> None:
        """Add the lamps of all frames to the heads of the camera. An UNSTABLE clock drops all sightings."""
        for at_s, clock, lamps in _lamp_states(index, camera, batch):
            for state in camera.signals.values():
                if state.head is None:
                    continue
                if clock == Clock.UNSTABLE:
                    state.head.forget()
                else:
                    state.head.add(state.phase(lamps), at_s)

    def _record(self, camera: _CameraSignals) -> None:
        """Update the metrics, and log if the two sources begin to contradict each other."""
        for name, state in camera.signals.items():
            at_s = _latest_s(state, camera.clock)
            known = [phase for phase in _phases_of(state, camera.clock, at_s) if phase is not Phase.UNKNOWN]
            contradicted = len(known) == 2 and not phases_agree(*known)
            phase = known[0] if known and not contradicted else Phase.UNKNOWN
            self._metrics.signal_phase.labels(camera.name, name).set(phase)
            self._metrics.signal_looks.labels(camera.name, name, "unknown" if phase in _VAGUE else "known").inc()
            if contradicted:
                self._metrics.signal_contradictions.labels(camera.name, name).inc()
            if contradicted and not state.contradicted:
                log.warning("lamps and controller contradict each other", camera=camera.name, signal=name)
            state.contradicted = contradicted

    # -- queries

    def at(self, camera: int, signal: str, at_s: float) -> Phase:
        """The phase that the signal certainly showed at an instant; UNKNOWN if not known, or if the sources
        disagree."""
        known = [phase for phase in _phases_of(*self._find(camera, signal), at_s) if phase is not Phase.UNKNOWN]
        if not known or not all(phases_agree(known[0], other) for other in known):
            return Phase.UNKNOWN
        return known[0]

    def since_s(
        self, camera: int, signals: Sequence[str], phases: Collection[Phase], began_s: float, ended_s: float
    ) -> float | None:
        """Beginning of the time up to `ended_s` in which one of the phases was shown without a break.

        None unless at least one source of the signals certainly covers `began_s` to `ended_s`, and no source of them
        certainly shows another phase. If there are several beginnings, the latest counts.
        """
        since_s = []
        for signal in signals:
            for timeline, margin_s in _sources(*self._find(camera, signal)):
                if timeline.denies(phases, began_s, ended_s, margin_s):
                    return None
                since_s.append(timeline.since_s(phases, began_s, ended_s, margin_s))
        return max((value for value in since_s if value is not None), default=None)

    def _find(self, camera: int, signal: str) -> tuple[_SignalState, Clock]:
        signals = self._cameras[camera]
        return signals.signals[signal], signals.clock


def _lamp_states(index: int, camera: _CameraSignals, batch: FrameBatch) -> Iterator[tuple[float, int, Ints]]:
    """Yield capture time, clock and the states (L,) of all lamps (`head.classify_lamps`) of each frame of a camera."""
    mine = np.flatnonzero(batch.frames.camera[batch.lamps.frame] == index)
    if not len(mine):
        return
    count = len(camera.colours)
    lamps = Lamps(batch.lamps.frame[mine], batch.lamps.lamp[mine], batch.lamps.appearance[mine])
    states = classify_lamps(lamps, camera.colours * (len(mine) // count)).reshape(-1, count)
    frame = lamps.frame[::count]
    yield from zip(batch.frames.captured_s[frame].tolist(), batch.frames.clock[frame].tolist(), states, strict=True)


def _sources(state: _SignalState, clock: Clock) -> Iterator[tuple[Timeline, float]]:
    """Yield the timelines of a signal, each with the margin of its instants against those of the vehicle."""
    if state.head is not None:
        yield state.head.timeline, LAMP_MARGIN_S
    if state.controller is not None and clock is not Clock.UNSTABLE:
        margin_s = ARRIVAL_MARGIN_S if clock is Clock.ARRIVAL else CONTROLLER_MARGIN_S
        with state.controller.timeline(state.signal.group) as timeline:
            yield timeline, margin_s


def _phases_of(state: _SignalState, clock: Clock, at_s: float) -> list[Phase]:
    """The phase at an instant by each source. A dark or hidden head does not contradict a controller."""
    phases = [timeline.at(at_s, margin_s) for timeline, margin_s in _sources(state, clock)]
    return [Phase.UNKNOWN if phase is Phase.DARK and len(phases) > 1 else phase for phase in phases]


def _latest_s(state: _SignalState, clock: Clock) -> float:
    """The latest instant that all sources of a signal may cover."""
    return min((timeline.reached_s - margin_s for timeline, margin_s in _sources(state, clock)), default=-np.inf)
