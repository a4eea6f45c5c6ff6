"""The crew: the stages that a configuration asks for.

`crew` opens them and lets cameras join and leave, `inquest` puts together what the inquiry asks, `sites` says what they
make of a site.
"""

from engine.crew.crew import Crew, gpu_of, open_crew, open_stages
from engine.crew.inquest import examine_means, require_means
from engine.crew.sites import examine, geometries, geometry, size_warnings

__all__ = [
    "Crew",
    "examine",
    "examine_means",
    "geometries",
    "geometry",
    "gpu_of",
    "open_crew",
    "open_stages",
    "require_means",
    "size_warnings",
]
