"""The generator of the demo's and the tests' footage: a street rendered by script, with everything about it known.

Scenes are data (scenes/*.toml). Rendering needs Blender as a Python package (requirements.txt, CPython 3.11); scenes,
projection, truth, encoding and verification do not. Nothing of the engine is used here, and nothing here by the engine.
"""
