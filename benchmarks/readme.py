"""Writes the measured tables of the README from the committed results: `python -m benchmarks readme`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parent.parent
README = ROOT / "README.md"
RESULTS = ROOT / "benchmarks" / "results"
BEGIN, END = "<!-- costs:begin -->", "<!-- costs:end -->"
SHOWN = {
    "decode": "decode and scale to the model's input",
    "libavcodec": "… of which libavcodec",
    "detect": "detect",
    "onnxruntime": "… of which ONNX Runtime",
    "track": "track",
    "measure": "measure",
    "judge": "judge",
}


def main(argv: list[str]) -> int:
    text = README.read_text(encoding="utf-8")
    README.write_text(with_costs(text, json.loads((RESULTS / "pipeline.json").read_text())), encoding="utf-8")
    return 0


def with_costs(text: str, result: dict[str, Any]) -> str:
    """The README's text with the table of costs made anew. Raises ValueError without the two marks."""
    before, _, rest = text.partition(BEGIN)
    _, mark, after = rest.partition(END)
    if not mark:
        raise ValueError(f"{BEGIN} ... {END} is missing")
    return f"{before}{BEGIN}\n{costs(result)}{END}{after}"


def costs(result: dict[str, Any]) -> str:
    """A Markdown table and a sentence on what was measured where."""
    machine, parameters, spent = result["machine"], result["parameters"], result["cpu_ms_per_frame"]
    rows = "".join(f"| {title} | {spent[what]:.2f} |\n" for what, title in SHOWN.items())
    return (
        "| stage | CPU ms per frame looked at |\n|---|---:|\n"
        f"{rows}\n"
        f"A case costs {result['cpu_ms_per_case']:.0f} ms more (second look, stills, clip, disk). "
        f"Outside libavcodec and ONNX Runtime the hot path spends {100 * result['share_outside_libraries']:.1f} %. "
        f"Measured on {machine['cores']} cores of {machine['processor']}, the demo's avenue clip (1280x720 H.264), "
        f"{parameters['detect_fps']:g} frames a second looked at in {parameters['regions']} regions, "
        f"{result['frames']} frames: `python -m benchmarks pipeline --json`.\n"
    )
