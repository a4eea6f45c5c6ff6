"""The generator of the footage for demo and tests: a rendered street whose complete truth is known.

Scenes are data (scenes/*.toml). Only rendering needs Blender as a Python package (requirements.txt, CPython 3.11).
This package does not import the engine, and the engine does not import this package.
"""
