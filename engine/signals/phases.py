"""What phases mean to the traffic (Road Traffic Regulations of the Republic of Kazakhstan, section 6)."""

from __future__ import annotations

from engine.types import Phase

PROHIBITS = frozenset({Phase.RED, Phase.RED_AMBER, Phase.RED_FLASHING})
"""Nobody may pass the line. Amber prohibits too, but not him who can no longer stop: nobody is accused on amber."""
CLOSED = PROHIBITS | {Phase.BARRIER_CLOSED}
"""The same of a level crossing."""
PERMITS = frozenset({Phase.GREEN, Phase.GREEN_FLASHING})
"""Traffic may go."""
NOT_GREEN = frozenset(Phase) - PERMITS - {Phase.UNKNOWN}
"""What an arrow section shows while it permits nothing: red where it has that, else no light."""


def agree(one: Phase, other: Phase) -> bool:
    """Do two sources say the same? That a light flashes need not be seen by both."""
    return _STEADY.get(one, one) == _STEADY.get(other, other)


_STEADY = {
    Phase.GREEN_FLASHING: Phase.GREEN,
    Phase.AMBER_FLASHING: Phase.AMBER,
    Phase.RED_FLASHING: Phase.RED,
    Phase.BARRIER_CLOSED: Phase.RED,
}
