"""`python -m benchmarks NAME ...` calls `benchmarks.NAME.main` with the other arguments."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path


def names() -> list[str]:
    """Names of all benchmarks: the modules of this package that have a `main`."""
    here = Path(__file__).parent
    return sorted(path.stem for path in here.glob("[a-z]*.py") if "\ndef main(" in path.read_text(encoding="utf-8"))


def main(argv: list[str]) -> int:
    """Run one benchmark. Returns its exit status, 2 for an unknown name."""
    if not argv or argv[0] not in names():
        print(f"usage: python -m benchmarks NAME [--data DIR] [--json]; NAME is one of {', '.join(names())}")
        return 2
    return int(importlib.import_module(f"benchmarks.{argv[0]}").main(argv[1:]) or 0)


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
