"""Table of docs/accuracy-tracking.md, from the committed result of `track`."""

from __future__ import annotations

from typing import Any

from benchmarks import pages

PAGE = pages.ROOT / "docs" / "accuracy-tracking.md"


def renew(text: str) -> str:
    """The page's text with new tables. Raises ValueError if a mark is missing."""
    return pages.between(text, "track", table(pages.result("track")))


def table(report: dict[str, Any]) -> str:
    """A Markdown table of the trackers that ran, and a sentence that says what was measured and on which machine."""
    ran = {name: row for name, row in report["trackers"].items() if "missing" not in row}
    rows = "".join(
        f"| {name} {row.get('version', '')} | {row['HOTA']:.2f} | {row['DetA']:.2f} | {row['AssA']:.2f} "
        f"| {row['frames_per_cpu_s']:,} | {row['crowd_frames_per_cpu_s']:,} |\n"
        for name, row in ran.items()
    )
    work, load, machine = report["work"], report["load"], report["machine"]
    return (
        "| tracker | HOTA | DetA | AssA | frames / CPU s | frames of 100 vehicles / CPU s |\n"
        f"|---|---:|---:|---:|---:|---:|\n{rows}\n"
        f"{work['sequences']} sequences, {work['frames']:,} frames, {work['detections']:,} detections; "
        f"{machine['processor']}, Python {machine['python']}. "
        f"{load['cameras']} cameras with {load['vehicles']} vehicles each, {load['rate_hz']:g} frames a second, "
        f"take {load['cores']:.3f} of one core.\n"
    )
