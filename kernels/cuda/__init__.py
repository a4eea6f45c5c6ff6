"""The kernels for an NVIDIA GPU, compiled from the source of the CPU kernels.

The loop of a kernel is written once, in `kernels.ground`, `kernels.speed`, `kernels.zones` or `kernels.lamp`. Here it
is compiled again as a device function (`source.on_device`), and started with one thread per point, track or lamp.
Kernels allocate no GPU memory: outputs and scratch memory belong to the caller.

Arrays are device arrays of `numba.cuda`, or any with `__cuda_array_interface__` (a torch tensor), C-contiguous, with
the shapes and dtypes of the CPU kernel of the same name. A NumPy array works too, at the price of a copy each way.
Every call returns at once; the work runs in order on `stream`, or on the default stream if none is given.

A GPU fuses multiplications with additions, so the last bits may differ from the CPU's, and an iterated fit may differ
by a millionth. The record of a measurement should therefore say which of the two made it.

A call needs `numba-cuda` and a driver; importing needs Numba only. With `NUMBA_ENABLE_CUDASIM=1` the same code runs in
Numba's simulator.
"""
