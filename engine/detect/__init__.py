"""Pictures to boxes: `onnx` runs the network, `heads` read its outputs, `merge` makes one list of a frame's regions."""
