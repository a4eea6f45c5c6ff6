"""Renders the table of docs/kernels.md from the committed result."""

from __future__ import annotations

from typing import Any

from benchmarks import pages

PAGE = pages.ROOT / "docs" / "kernels.md"


def renew(text: str) -> str:
    """The page's text with a new table. Raises ValueError if a mark is missing."""
    return pages.between(text, "kernels", table(pages.result("kernels")))


def table(result: dict[str, Any]) -> str:
    """A Markdown table of the kernels, and a sentence on the measurement."""
    limits, machine = result["limits"], result["machine"]
    rows = "".join(f"| `{name}` | {_cells(row)} |\n" for name, row in result["kernels"].items())
    return (
        "| kernel | load | ms | twin, ms | ratio | per second | GB/s | of copy | Gop/s | of product |\n"
        f"|---|---|---:|---:|---:|---:|---:|---:|---:|---:|\n{rows}\n"
        f"Medians of {result['parameters']['rounds']} rounds, one thread of {machine['processor']}, "
        f"Python {machine['python']}, NumPy {machine['packages']['numpy']}, Numba {machine['packages']['numba']}. "
        f"Limits of the same thread in the same rounds: copy {limits['copy_bytes_per_s'] / 1e9:.1f} GB/s, "
        f"product {limits['operations_per_s'] / 1e9:.1f} Gop/s.\n"
    )


def _cells(row: dict[str, Any]) -> str:
    cells = [
        row["load"],
        f"{row['kernel_ms']:.2f}",
        f"{row['twin_ms']:.1f}",
        f"{row['ratio']:.0f}" if row["ratio"] >= 10 else f"{row['ratio']:.1f}",
        f"{row['items_per_s']:,} {_plural(row['unit'])}",
        f"{row['bytes_per_s'] / 1e9:.2f}",
        f"{row['share_of_copy']:.0%}",
    ]
    if "operations_per_s" in row:
        return " | ".join([*cells, f"{row['operations_per_s'] / 1e9:.1f}", f"{row['share_of_operations']:.0%}"])
    return " | ".join([*cells, "", ""])


def _plural(unit: str) -> str:
    return f"{unit}es" if unit.endswith("x") else f"{unit}s"
