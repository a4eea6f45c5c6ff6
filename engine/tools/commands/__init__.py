"""The commands of `qyran`: one module for each, with a typer application called `app`.

`engine.tools.cli` imports every module here at each start, so a module imports what is slow to load inside its
functions. A long implementation lies beside, in `engine.tools`.
"""
