"""Dense traffic at a signal: lawful vehicles are never reported, those that run the red light always are.

A simulation of its own: vehicles follow each other, stop at amber if they can and at red, start on green; some are
lawless and do not. Boxes carry noise. The truth is the true front at the true line.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import msgspec
import numpy as np
import pytest

from engine.signals import PROHIBITS
from engine.types import Phase, VehicleClass
from tests.support.junction import BOX, LINE_M, RED_LIGHT, STOP_LINE, book, junction
from tests.support.road import LORRY_M, Vehicle, judged

STEP_S, LASTS_S = 0.125, 240.0
CYCLE = ((Phase.GREEN, 14.0), (Phase.AMBER, 3.0), (Phase.RED, 12.0), (Phase.RED_AMBER, 1.5))
CYCLE_S = sum(lasts_s for _, lasts_s in CYCLE)
SURE_S = 1.5
"""A crossing on a red that is older than this must be reported: grace and the unknown length of a car need no more."""
SIZES = (
    (VehicleClass.CAR, (1.8, 4.5, 1.5)),
    (VehicleClass.CAR, (1.7, 3.6, 1.5)),
    (VehicleClass.TRUCK, LORRY_M),
    (VehicleClass.MOTORCYCLE, (0.8, 2.2, 1.5)),
)


@dataclass
class Driver:
    """One vehicle of the simulation: where its front is, in metres beyond the line."""

    began_s: float
    class_id: VehicleClass
    size_m: tuple[float, float, float]
    wish_mps: float
    before_m: float
    """Where it stops before the line."""
    lawless: bool
    speed_mps: float = 10.0
    fronts_m: list[float] = field(default_factory=lambda: [-60.0])

    @property
    def rear_m(self) -> float:
        return self.fronts_m[-1] - self.size_m[1]

    def drive(self, phase: Phase, ahead: Driver | None) -> None:
        """One step, no faster than it can stop for what is ahead (Gipps 1981, without reaction time)."""
        speed = self.speed_mps + 2.5 * (1 - (self.speed_mps / self.wish_mps) ** 4) * STEP_S
        room_m = -self.before_m - self.fronts_m[-1]
        can_stop = self.speed_mps**2 / 7 <= room_m + 0.1
        if phase is not Phase.GREEN and can_stop and not self.lawless:
            speed = min(speed, np.sqrt(max(0.0, 6 * (room_m - 0.1))))
        if ahead is not None:
            gap_m = ahead.rear_m - 2.0 - self.fronts_m[-1]
            speed = min(speed, np.sqrt(max(0.0, ahead.speed_mps**2 + 6 * (gap_m - 0.3))))
        self.speed_mps = float(max(0.0, speed))
        self.fronts_m.append(self.fronts_m[-1] + self.speed_mps * STEP_S)

    def crossed_s(self) -> float:
        """When the front was on the line; inf if never."""
        fronts = np.array(self.fronts_m)
        return self.began_s + STEP_S * int(np.argmax(fronts >= 0)) if fronts[-1] >= 0 else np.inf


def phase_at(at_s: float) -> tuple[Phase, float]:
    """What the signal shows, and for how long it has prohibited."""
    ends_s = np.cumsum([lasts_s for _, lasts_s in CYCLE])
    left_s = at_s % CYCLE_S
    phase = CYCLE[int(np.searchsorted(ends_s, left_s, "right"))][0]
    return phase, max(0.0, left_s - float(ends_s[1]))


def simulated(seed: int) -> list[tuple[float, Driver]]:
    """All drivers of two lanes, each with its place across the road."""
    rng, drivers = np.random.default_rng(seed), []
    for x in (-2.5, 2.5):
        lane: list[Driver] = []
        for at_s in np.arange(0, LASTS_S, STEP_S):
            if rng.random() < STEP_S / 3 and (not lane or lane[-1].rear_m > -50):
                class_id, size_m = SIZES[rng.choice(len(SIZES), p=(0.6, 0.2, 0.1, 0.1))]
                wishes = rng.uniform(10, 17), rng.uniform(0.3, 2.5)
                lane.append(Driver(float(at_s), class_id, size_m, *wishes, lawless=bool(rng.random() < 0.3)))
            for place, driver in enumerate(lane):
                driver.drive(phase_at(float(at_s))[0], lane[place - 1] if place else None)
        drivers += [(x, driver) for driver in lane]
    return drivers


def as_track(track: int, x: float, driver: Driver, towards: bool) -> Vehicle:
    """The driver as a track: what is nearest to the camera is the rear, or the front if it comes towards the camera."""
    fronts_m = np.array(driver.fronts_m)
    near_m = LINE_M - fronts_m if towards else LINE_M + fronts_m - driver.size_m[1]
    times_s = driver.began_s + STEP_S * np.arange(len(near_m))
    visible = times_s[(near_m > 14) & (near_m < 100)]
    began_s, ended_s = (visible[0], visible[-1]) if len(visible) else (0.0, 0.0)
    return Vehicle(
        track=track,
        path=lambda t: (x, float(np.interp(t, times_s, near_m))),
        begin_s=began_s,
        end_s=ended_s,
        class_of=lambda t: driver.class_id,
        size_m=driver.size_m,
    )


def phases() -> dict[str, list[tuple[Phase, float]]]:
    main, cross = [], []
    for cycle in range(-1, int(LASTS_S // CYCLE_S) + 2):
        at_s = cycle * CYCLE_S
        for phase, lasts_s in CYCLE:
            main.append((phase, at_s))
            if phase is Phase.RED:
                cross += [(Phase.GREEN, at_s + 1.5), (Phase.AMBER, at_s + 8.5), (Phase.RED, at_s + 11.0)]
            at_s += lasts_s
    return {"main": main, "cross": cross}


@pytest.mark.parametrize(("towards", "noise_px"), [(False, 2.5), (True, 0.7)], ids=["from behind", "from the front"])
def test_the_lawful_go_free_and_the_lawless_do_not(towards: bool, noise_px: float) -> None:
    line = {"line": "towards", "zone": "nearer"} if towards else {}
    over = msgspec.structs.replace(STOP_LINE, beyond_m=0.7, **line)
    box = msgspec.structs.replace(BOX, zone=line.get("zone", BOX.zone))
    where = junction(msgspec.structs.replace(RED_LIGHT, **line), over, box)
    drivers = simulated(seed=4)
    vehicles = [as_track(track, x, driver, towards) for track, (x, driver) in enumerate(drivers)]
    reported = judged(where, *vehicles, signals=book(where, phases(), 2 * LASTS_S), lasts_s=LASTS_S, noise_px=noise_px)
    crossed_s = {t: driver.crossed_s() for t, (_, driver) in enumerate(drivers) if driver.crossed_s() < LASTS_S - 5}
    on_red = {t: phase_at(at_s)[1] for t, at_s in crossed_s.items() if phase_at(at_s)[0] in PROHIBITS}
    surely = {t for t, red_s in on_red.items() if red_s > SURE_S and drivers[t][1].class_id is not VehicleClass.TRUCK}
    accused = {case.track for case in reported}
    assert {case.kind for case in reported} == {"red_light"}
    assert accused <= set(on_red)
    assert len(surely - accused) <= (noise_px > 1)
    assert len(surely) >= 3
    assert len(drivers) > 60
