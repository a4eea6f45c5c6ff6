"""The phase store of all cameras: lamps and reports in, and the one question that rules ask: what was shown when?

Both sources stand on the capture clock. The lamps are of the very frames that the vehicle is seen in, so their times
need no synchronisation; a controller's are UTC by its own clock, and of a camera whose clock is only that of arrival
they are used with a wide margin. Where both say something and it is not the same, nobody knows.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import structlog

from engine.errors import SignalError
from engine.metrics import Metrics
from engine.signals.controller import Controller, Report
from engine.signals.head import SignalHead, lit, shown
from engine.signals.phases import agree
from engine.signals.timeline import Timeline
from engine.site import Signal, Site, WatchedCamera
from engine.site.signals import LampColour
from engine.types import Clock, FrameBatch, Ints, Lamps, Phase

log = structlog.get_logger()

LAMP_MARGIN_S = 0.05
"""Exposure, shutter, and a codec that is slow to show a change."""
CONTROLLER_MARGIN_S = 0.25
"""Two clocks that are both kept by NTP, and a controller that reports in steps."""
ARRIVAL_MARGIN_S = 1.5
"""The same where the camera's time is only that of arrival: it is late by the camera's unknown delay."""


_VAGUE = (Phase.UNKNOWN, Phase.DARK)


@dataclass(slots=True)
class _Watched:
    """One signal of one camera."""

    signal: Signal
    head: SignalHead | None
    controller: Controller | None
    first_lamp: int
    """Its lamps are those of the camera from here on."""
    contradicted: bool = False
    """Did the two sources say different things at the last look?"""

    def shown(self, states: Ints) -> Phase:
        """What its own lamps show, of the states of all the camera's lamps."""
        colours = [lamp.colour for lamp in self.signal.lamps]
        return shown(states[self.first_lamp : self.first_lamp + len(colours)].tolist(), colours)


@dataclass(slots=True)
class _CameraSignals:
    name: str
    area: str
    signals: dict[str, _Watched]
    colours: tuple[LampColour, ...] = ()
    """Of all its lamps."""
    clock: Clock = Clock.UNSTABLE
    """Of its newest frames."""


class SignalBook:
    """`stages.Signals`, and what the rules ask. Observed and asked from one thread; `report` comes from any."""

    def __init__(self, sites: Mapping[int, Site], names: Mapping[int, str], metrics: Metrics) -> None:
        """`sites` and `names` by camera index."""
        self._metrics = metrics
        self._controllers: dict[str, Controller] = {}
        self._cameras: dict[int, _CameraSignals] = {}
        for index, site in sites.items():
            self._add(index, names[index], site)

    def add_camera(self, index: int, camera: WatchedCamera) -> None:
        """Watch the signals of one more camera; forget the controllers that no site names any more."""
        self._add(index, camera.name, camera.site)
        named = {watched.signal.controller for known in self._cameras.values() for watched in known.signals.values()}
        for controller in self._controllers.keys() - named:
            del self._controllers[controller]
            for metric in (self._metrics.signal_reports, self._metrics.signal_reported_s):
                metric.remove_by_labels({"controller": controller})

    def remove_camera(self, index: int) -> None:
        """Forget a camera. Its controllers stay until the next camera comes, which may name them: a site that changes
        is a camera that goes and comes back."""
        self._cameras.pop(index, None)

    def _add(self, index: int, name: str, site: Site) -> None:
        if not site.signals:
            return
        watched, first = {}, 0
        for signal in site.signals:
            self._metrics.add_signal(name, signal.name)
            head = SignalHead() if signal.lamps else None
            watched[signal.name] = _Watched(signal, head, self._controller(signal), first)
            first += len(signal.lamps)
        self._cameras[index] = _CameraSignals(name, site.place.area, watched, tuple(lamp.colour for lamp in site.lamps))

    def _controller(self, signal: Signal) -> Controller | None:
        """Who reports the signal's phases, the same for all cameras; None where nobody does."""
        name = signal.controller
        if not name:
            return None
        if name not in self._controllers:
            self._metrics.signal_reported_s.labels(name)
            self._controllers[name] = Controller(name)
        self._controllers[name].watch(signal.group)
        return self._controllers[name]

    # -- what comes in

    @property
    def controllers(self) -> Mapping[str, Controller]:
        """By the name that sites give them."""
        return self._controllers

    def believers(self, controller: str) -> Sequence[tuple[str, str]]:
        """Name and area of every camera that goes by what the controller says. From any thread."""
        return [
            (camera.name, camera.area)
            for camera in list(self._cameras.values())
            if any(watched.signal.controller == controller for watched in camera.signals.values())
        ]

    def report(self, report: Report) -> bool:
        """Take in what a controller says; False for a report that was taken in before. From any thread.

        Raises SignalError for a controller that no site names, or a report that cannot be believed.
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
        """Take in the lamps of the next frames. Of a camera that has moved they are not where the site says."""
        for index, camera in list(self._cameras.items()):
            clocks = batch.frames.clock[batch.frames.camera == index]
            if len(clocks):
                camera.clock = Clock(int(clocks.max()))
                if index not in moved:
                    self._see(index, camera, batch)
                self._tell(camera)

    def _see(self, index: int, camera: _CameraSignals, batch: FrameBatch) -> None:
        """Every frame's lamps to every head of the camera. Under a clock that is not trusted nothing is kept."""
        for at_s, clock, states in _sights(index, camera, batch):
            for watched in camera.signals.values():
                if watched.head is None:
                    continue
                if clock == Clock.UNSTABLE:
                    watched.head.forget()
                else:
                    watched.head.see(watched.shown(states), at_s)

    def _tell(self, camera: _CameraSignals) -> None:
        """Say what is shown as far as that is known, and that two sources contradict each other."""
        for name, watched in camera.signals.items():
            at_s = _latest_s(watched, camera.clock)
            said = [phase for phase in _said(watched, camera.clock, at_s) if phase is not Phase.UNKNOWN]
            contradicted = len(said) == 2 and not agree(*said)
            phase = said[0] if said and not contradicted else Phase.UNKNOWN
            self._metrics.signal_phase.labels(camera.name, name).set(phase)
            self._metrics.signal_looks.labels(camera.name, name, "unknown" if phase in _VAGUE else "known").inc()
            if contradicted:
                self._metrics.signal_contradictions.labels(camera.name, name).inc()
            if contradicted and not watched.contradicted:
                log.warning("lamps and controller contradict each other", camera=camera.name, signal=name)
            watched.contradicted = contradicted

    # -- what is asked

    def at(self, camera: int, signal: str, at_s: float) -> Phase:
        """What the signal surely showed at an instant; UNKNOWN where nobody can tell, or the sources disagree."""
        watched, clock = self._watched(camera, signal)
        said = [phase for phase in _said(watched, clock, at_s) if phase is not Phase.UNKNOWN]
        if not said or not all(agree(said[0], other) for other in said):
            return Phase.UNKNOWN
        return said[0]

    def since_s(
        self, camera: int, signals: Sequence[str], phases: Collection[Phase], began_s: float, ended_s: float
    ) -> float | None:
        """Since when one of the phases has been shown without a break up to `ended_s`.

        None unless that is sure of all the time from `began_s` to `ended_s` by at least one source of the signals,
        with no other source of any of them surely showing anything else. Of several, the latest beginning counts.
        """
        since_s = []
        for signal in signals:
            for timeline, margin_s in _sources(*self._watched(camera, signal)):
                if timeline.denies(phases, began_s, ended_s, margin_s):
                    return None
                since_s.append(timeline.since_s(phases, began_s, ended_s, margin_s))
        return max((value for value in since_s if value is not None), default=None)

    def _watched(self, camera: int, signal: str) -> tuple[_Watched, Clock]:
        home = self._cameras[camera]
        return home.signals[signal], home.clock


def _sights(index: int, camera: _CameraSignals, batch: FrameBatch) -> Iterator[tuple[float, int, Ints]]:
    """Capture time, clock and the state of every lamp (`head.lit`) of every frame of a camera."""
    mine = np.flatnonzero(batch.frames.camera[batch.lamps.frame] == index)
    if not len(mine):
        return
    count = len(camera.colours)
    lamps = Lamps(batch.lamps.frame[mine], batch.lamps.lamp[mine], batch.lamps.look[mine])
    states = lit(lamps, camera.colours * (len(mine) // count)).reshape(-1, count)
    frame = lamps.frame[::count]
    yield from zip(batch.frames.captured_s[frame].tolist(), batch.frames.clock[frame].tolist(), states, strict=True)


def _sources(watched: _Watched, clock: Clock) -> Iterator[tuple[Timeline, float]]:
    """The timelines of a signal, each with the margin that its instants need against the vehicle's."""
    if watched.head is not None:
        yield watched.head.timeline, LAMP_MARGIN_S
    if watched.controller is not None and clock is not Clock.UNSTABLE:
        margin_s = ARRIVAL_MARGIN_S if clock is Clock.ARRIVAL else CONTROLLER_MARGIN_S
        with watched.controller.timeline(watched.signal.group) as timeline:
            yield timeline, margin_s


def _said(watched: _Watched, clock: Clock, at_s: float) -> list[Phase]:
    """What every source says of an instant; a head that is dark or hidden says nothing against a controller."""
    said = [timeline.at(at_s, margin_s) for timeline, margin_s in _sources(watched, clock)]
    return [Phase.UNKNOWN if phase is Phase.DARK and len(said) > 1 else phase for phase in said]


def _latest_s(watched: _Watched, clock: Clock) -> float:
    """The latest instant of which every source of a signal may know something."""
    return min((timeline.reached_s - margin_s for timeline, margin_s in _sources(watched, clock)), default=-np.inf)
