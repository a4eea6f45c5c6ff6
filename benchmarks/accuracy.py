"""Speed tables and plot of docs/accuracy.md, from the committed result of `speed`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from benchmarks import pages

PAGE = pages.ROOT / "docs" / "accuracy.md"
PLOT = pages.ROOT / "docs" / "speed_errors.svg"
COLUMNS = {
    "measured": "{:d}",
    "share_of_true": "{:.0%}",
    "share_of_matched": "{:.0%}",
    "mean_kmh": "{:.2f}",
    "median_kmh": "{:.2f}",
    "p95_kmh": "{:.2f}",
    "p99_kmh": "{:.2f}",
    "worst_kmh": "{:.1f}",
    "bias_kmh": "{:+.2f}",
    "coverage_95": "{:.0%}",
}


def renew(text: str) -> str:
    """The page's text with new tables. Raises ValueError if a mark is missing."""
    return pages.between(text, "speed", tables(pages.result("speed")))


def draw() -> None:
    """Draw the plot."""
    plot(pages.result("speed"), PLOT)


def tables(result: dict[str, Any]) -> str:
    """Markdown tables: errors by file, in total and without each correction; then the parts of the uncertainty."""
    rows = dict(result["files"])
    rows["**total**"] = result["total"]
    rows["total, published calibration"] = result["published_calibration"]
    rows |= {f"total, without {name}": figures for name, figures in result["without"].items()}
    head = "| |" + "".join(f" {column.removesuffix('_kmh').replace('_', ' ')} |" for column in COLUMNS)
    lines = [head, "|---|" + "---:|" * len(COLUMNS)]
    for name, figures in rows.items():
        lines.append(f"| {name} |" + "".join(f" {form.format(figures[key])} |" for key, form in COLUMNS.items()))
    stated = "Errors in km/h. Root mean square of the stated standard uncertainty, by part, against what was found:"
    lines += ["", stated, "", "| part | km/h |", "|---|---:|"]
    for part in result["error_budget"].values():
        lines += [f"| {name} | {value:.2f} |" for name, value in part.items()]
    constants = ", ".join(f"`{name}` {value:g}" for name, value in result["parameters"].items())
    return "\n".join([*lines, "", f"Constants, the same for all files: {constants}.", ""])


def plot(result: dict[str, Any], path: Path) -> None:
    """Draw bars: the mean error with and without corrections, and the mean error of each camera."""
    import matplotlib as mpl

    mpl.use("svg")
    mpl.rcParams["svg.hashsalt"] = "speed"
    from matplotlib import pyplot

    figure, (left, right) = pyplot.subplots(1, 2, figsize=(10, 3.6))
    means = {"all corrections": result["total"], **{f"without {k}": v for k, v in result["without"].items()}}
    means["published calibration"] = result["published_calibration"]
    left.barh(list(means), [figures["mean_kmh"] for figures in means.values()], color="tab:blue")
    left.axvline(0.45, color="black", linestyle=":")
    left.set_xlabel("mean |error|, km/h (dotted: 0.45)")
    files = result["files"]
    right.barh(list(files), [figures["bias_kmh"] for figures in files.values()], color="tab:orange")
    right.axvline(0.0, color="black", linewidth=0.8)
    right.set_xlabel("mean error of a camera, km/h")
    for axes in (left, right):
        axes.invert_yaxis()
    figure.tight_layout()
    figure.savefig(path, metadata={"Date": None})
    pyplot.close(figure)
