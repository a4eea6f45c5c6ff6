"""Table of docs/gpu.md, from the committed result of `decode`."""

from __future__ import annotations

from typing import Any

from benchmarks import pages

PAGE = pages.ROOT / "docs" / "gpu.md"


def renew(text: str) -> str:
    """The page's text with new tables. Raises ValueError if a mark is missing."""
    return pages.between(text, "decode", table(pages.result("decode")))


def table(result: dict[str, Any]) -> str:
    """A Markdown table of the rows, and a sentence that says what was measured and on which machine."""
    rows = "".join(f"| {row['codec']} | {row['batch']} | {_cells(row)} |\n" for row in result["rows"])
    machine, parameters = result["machine"], result["parameters"]
    return (
        "| codec | batch | camera seconds per CPU s | bare decoding | share of it | CPU decoder |\n"
        f"|---|---:|---:|---:|---:|---:|\n{rows}\n"
        f"{result['device']} on {machine['cores']} cores of {machine['processor']}, best of {parameters['rounds']}. "
        "CPU ms to write a segment's container and for DALI to open it and decode one frame: "
        f"{_containers(result['containers'])}.\n"
    )


def _cells(row: dict[str, Any]) -> str:
    spent = row["camera_s_per_cpu_s"]
    share = f"{100 * row['of_leanest_cpu']:.0f} %"
    return " | ".join((f"{spent['whole']:.2f}", f"{spent['leanest']:.2f}", share, f"{spent['cpu']:.2f}"))


def _containers(found: dict[str, Any]) -> str:
    return "; ".join(
        f"{codec} "
        + ", ".join(f"{form} {ms['write_ms']:.1f} + {ms['open_and_first_frame_ms']:.0f}" for form, ms in forms.items())
        for codec, forms in found.items()
    )
