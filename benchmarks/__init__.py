"""Benchmarks: `python -m benchmarks NAME [--data DIR] [--json]`. `results/` holds the committed results."""
