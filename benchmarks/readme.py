"""Tables of README.md, from the committed results of `pipeline` and `world`."""

from __future__ import annotations

from typing import Any

from benchmarks.pages import ROOT, between, result

PAGE = ROOT / "README.md"
SHOWN = {
    "decode": "decode and scale to the model's input",
    "libavcodec": "… of which libavcodec",
    "detect": "detect",
    "onnxruntime": "… of which ONNX Runtime",
    "track": "track",
    "measure": "measure",
    "judge": "judge",
}


def renew(text: str) -> str:
    """The page's text with new tables. Raises ValueError if a mark is missing."""
    text = between(text, "costs", costs(result("pipeline")))
    text = between(text, "world", world(result("world")))
    return between(text, "plates", plates(result("world")["plates_by_width_px"]))


def world(found: dict[str, Any]) -> str:
    """A Markdown table of the results of the whole engine, one line a clip."""
    rows = "".join(_clip(name, score) for name, score in [*found["clips"].items(), ("**total**", found["total"])])
    return (
        "| clip | offences | found | cases | wrong | owners named | wrong | speeds | mean error km/h | p95 | worst "
        "| 95 % coverage | HOTA |\n"
        f"|---|---:|---:|---:|---:|---:|---:|---:|---:|---:|---:|---:|---:|\n{rows}\n"
    )


def _clip(name: str, score: dict[str, Any]) -> str:
    found = round((score["recall"] or 0) * score["offences"])
    wrong = score["cases"] - round((score["precision"] or 0) * score["cases"])
    errors = " | ".join(_or_dash(score[key], ".2f") for key in ("speed_mean_kmh", "speed_p95_kmh", "speed_worst_kmh"))
    owners = f"{score['owners_named']} | {score['owners_misnamed']}"
    counts = f"{score['offences']} | {found} | {score['cases']} | {wrong} | {owners} | {score['speeds']}"
    coverage = _or_dash(score["coverage_95"], ".0%")
    return f"| {name} | {counts} | {errors} | {coverage} | {score['hota']:.1f} |\n"


def plates(found: dict[str, dict[str, float]]) -> str:
    """A Markdown table of plate readings in single frames, by the width of the plate in the picture."""
    rows = "".join(_band(band, read) for band, read in found.items())
    return (
        "| plate width, px | readings | every character right | at most one wrong | nothing read |\n"
        f"|---|---:|---:|---:|---:|\n{rows}\n"
    )


def _band(band: str, read: dict[str, float]) -> str:
    shares = " | ".join(f"{read[key]:.0%}" for key in ("exact", "within_one", "none"))
    return f"| {band.replace('-', ' to ')} | {read['n']} | {shares} |\n"


def _or_dash(value: float | None, form: str) -> str:
    return "-" if value is None else format(value, form)


def costs(found: dict[str, Any]) -> str:
    """A Markdown table, and a sentence that says what was measured and on which machine."""
    machine, parameters, spent = found["machine"], found["parameters"], found["cpu_ms_per_frame"]
    rows = "".join(f"| {title} | {spent[what]:.2f} |\n" for what, title in SHOWN.items())
    return (
        "| stage | CPU ms per analysed frame |\n|---|---:|\n"
        f"{rows}\n"
        f"A case costs {found['cpu_ms_per_case']:.0f} ms more (second look, plate, stills, drawings, clip, disk). "
        f"Outside libavcodec and ONNX Runtime the hot path spends {100 * found['share_outside_libraries']:.1f} %. "
        f"Measured on {machine['cores']} cores of {machine['processor']}, the demo's avenue clip (1280x720 H.264), "
        f"{parameters['detect_fps']:g} frames a second analysed in {parameters['regions']} regions, "
        f"{found['frames']} frames: `python -m benchmarks pipeline --json`.\n"
    )
