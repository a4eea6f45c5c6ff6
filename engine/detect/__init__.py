"""Pictures to boxes: `onnx` runs the network, `heads` read its outputs, `merge` makes one list of a frame's regions.

`cards` says what a network wants and what it means, `opening` which one runs. On a GPU `device` does all of
it where the pixels are, over a network in `plan_network` (TensorRT; `tensorrt` builds, `plans` keeps) or in `bound`
(ONNX Runtime); `precision` writes a network anew, and `agreement` says whether it still finds the same in the frames of
`reference`.
"""
