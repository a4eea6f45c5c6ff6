"""Benchmarks: `python -m benchmarks NAME [--data DIR] [--json]`; committed results are in `results/`."""
