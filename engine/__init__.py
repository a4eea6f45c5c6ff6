"""Qyran's engine: camera streams in, violation cases out. `pipeline.build` puts the stages together."""
