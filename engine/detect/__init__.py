"""Pictures to boxes: `onnx` runs the network, `heads` read its outputs, `merge` joins the regions of a frame.

`cards` describe networks; `opening` selects the detector. On a GPU, `device` does all this in device memory, with a
network in TensorRT (`plan_network`; `tensorrt` builds plans, `plans` stores them) or in ONNX Runtime (`onnx_network`).
`precision` converts a network; `agreement` compares it with the original on the frames of `reference`.
"""
