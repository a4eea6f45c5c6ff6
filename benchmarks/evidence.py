"""Measure the CPU cost of a case by part, on the demo's avenue clip.

    python -m benchmarks evidence --json

The engine plays the clip once and finds its violations. Then the evidence of each violation is built again under a
profiler that counts the CPU seconds of the whole process. `added` is the cost of drawings, plan, report, signature and
chain, on top of stills, clip and document.
"""

from __future__ import annotations

import argparse
import cProfile
import json
import pstats
import tempfile
import time
from collections.abc import Callable, Sequence
from contextlib import closing
from pathlib import Path
from types import FunctionType
from typing import Any

from benchmarks.machine import describe_machine
from benchmarks.pages import ROOT, between, result
from engine.app import logs
from engine.app.stage_set import open_stages
from engine.config import EngineConfig, EvidenceConfig
from engine.decode import frame_fetcher
from engine.detect.stills import StillDetector
from engine.evidence import artifacts as artifacts
from engine.evidence import folder, new_key, plan, report
from engine.evidence.builder import FileEvidenceBuilder
from engine.evidence.chain import Chain
from engine.evidence.folder import Folders
from engine.ingest import FileSource
from engine.ingest.remux import to_mp4
from engine.ledger import SqlLedger
from engine.metrics import Metrics
from engine.pipeline.loop import Pipeline
from engine.rules import load_site
from engine.tools.demo.city import file_camera
from engine.types import Segment, Violation

CLIP = "avenue"
START_S = 1_780_290_000.0
PAGE = ROOT / "docs" / "evidence.md"
PARTS: dict[str, Callable[..., Any]] = {
    "second look": frame_fetcher.fetch_frames,
    "find persons and vehicles": StillDetector.__call__,
    "redacted stills": artifacts._pictures,
    "clip": to_mp4,
    "drawings": artifacts._drawing,
    "plan": plan.draw_plan,
    "reports": report.write_reports,
    "manifest and seal": Folders._seal,
    "chain": Chain.commit,
    "disk": folder._write,
}
ADDED = ("drawings", "plan", "reports", "manifest and seal", "chain")


def main(argv: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="evidence", description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args(argv)
    logs.configure(level="error")
    found = measure(options.rounds)
    print(json.dumps(found, indent=2) if options.json else table(found))
    return 0


def measure(rounds: int) -> dict[str, Any]:
    """Build the evidence of the clip `rounds` times, each time in an empty folder, after one round that warms up."""
    profile = cProfile.Profile(time.process_time)
    with tempfile.TemporaryDirectory() as scratch:
        new_key(Path(scratch) / "key.pem")
        violations, segments = find_violations(Path(scratch))
        for played in range(rounds + 1):
            build_all(Path(scratch) / str(played), violations, segments, profile if played else cProfile.Profile())
    return {
        "machine": describe_machine(),
        "parameters": {"rounds": rounds, "clip": CLIP},
        **shares(pstats.Stats(profile), rounds * len(violations)),
    }


def make_config(scratch: Path, state: Path) -> EngineConfig:
    """Configuration with the clip as the only camera, and the signing key in `scratch`."""
    return EngineConfig(
        cameras=(file_camera(CLIP),), state=state, evidence=EvidenceConfig(signing_key=scratch / "key.pem")
    )


def find_violations(scratch: Path) -> tuple[list[Violation], list[Segment]]:
    """The violations that the engine finds in the clip, and the segments of the clip."""
    config, metrics = make_config(scratch, scratch / "found"), Metrics()
    found: list[Violation] = []
    with closing(SqlLedger(scratch / "ledger.db")) as ledger:
        sites = [load_site(camera.site) for camera in config.cameras]
        with open_stages(config, sites, ledger, metrics) as stages:
            source = FileSource(0, config.cameras[0], metrics, start_s=START_S, realtime=False)
            segments = list(source.read())
            pipeline = Pipeline(stages, config.camera_names, metrics)
            for segment in segments:
                found += pipeline.judge(pipeline.decode([segment])).violations
            stages.tracker.end_tracks(0)
            found += pipeline.judge(pipeline.decode(())).violations
    return found, segments


def build_all(
    state: Path, violations: Sequence[Violation], segments: Sequence[Segment], profile: cProfile.Profile
) -> None:
    """Build the evidence of all violations from the whole recording, under `profile`."""
    config = make_config(state.parent, state)
    with closing(SqlLedger(state / "ledger.db")) as ledger:
        sites = [load_site(camera.site) for camera in config.cameras]
        with open_stages(config, sites, ledger, Metrics()) as stages:
            for segment in segments:
                stages.recordings.keep(segment)
            profile.enable()
            cases = [*stages.evidence_builder.build(violations), *stages.evidence_builder.close()]
            profile.disable()
    assert len(cases) == len(violations)


def shares(stats: pstats.Stats, cases: int) -> dict[str, Any]:
    """CPU milliseconds a case, in all and by part."""
    spent = {part: 1e3 * cumulative_s(stats, function) / cases for part, function in PARTS.items()}
    whole = (
        1e3 * sum(cumulative_s(stats, verb) for verb in (FileEvidenceBuilder.build, FileEvidenceBuilder.close)) / cases
    )
    spent["redacted stills"] -= spent["drawings"]
    added = sum(spent[part] for part in ADDED)
    return {
        "cases": cases,
        "cpu_ms_per_case": round(whole, 1),
        "parts": {part: round(value, 2) for part, value in spent.items()},
        "added_ms": round(added, 1),
        "added_share": round(added / whole, 4),
    }


def cumulative_s(stats: pstats.Stats, function: Callable[..., Any]) -> float:
    """CPU seconds of a function and its callees; 0 if it was not called."""
    assert isinstance(function, FunctionType)
    code = function.__code__
    rows: dict[tuple[str, int, str], tuple[Any, ...]] = stats.stats  # type: ignore[attr-defined]
    found = rows.get((code.co_filename, code.co_firstlineno, code.co_name))
    return float(found[3]) if found else 0.0


def renew(text: str) -> str:
    """The page's text with new tables. Raises ValueError if a mark is missing."""
    return between(text, "evidence", table(result("evidence")))


def table(found: dict[str, Any]) -> str:
    """A Markdown table, and a sentence that says what was measured and on which machine."""
    rows = "".join(f"| {part} | {value:.1f} |\n" for part, value in found["parts"].items())
    machine, whole_ms, share = found["machine"], found["cpu_ms_per_case"], found["added_share"]
    return (
        f"| part | CPU ms per case |\n|---|---:|\n{rows}| **whole case** | **{whole_ms:.0f}** |\n\n"
        f"Drawings, plan, reports, signature and chain are {100 * share:.0f} % of it. Measured on {machine['cores']} "
        f"cores of {machine['processor']}, the demo's avenue clip (1280x720), {found['cases']} cases, in a profiler: "
        "`python -m benchmarks evidence --json`.\n"
    )
