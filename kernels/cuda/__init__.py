"""The bodies of the kernels for an NVIDIA GPU, compiled from the very source of the CPU's.

What a kernel does to its points or tracks is written once, in `kernels.ground`, `kernels.speed`, `kernels.zones` and
`kernels.lamp`; here it is compiled a second time, for the card (`source.on_device`), and started with a thread a point,
track or lamp.
Nothing is allocated on the card: outputs and scratch memory are the caller's.

Arrays are the card's: of `numba.cuda`, or anything with `__cuda_array_interface__` (a torch tensor), with the shapes
and dtypes of the CPU kernel of the same name, C-contiguous. A NumPy array works too, at the price of a copy each way.
Every call returns at once; the work runs in order on `stream`, the default stream unless one is given.

The card fuses multiplications with additions, so a last bit may differ from the CPU's, and an iterated fit may end by
a millionth part elsewhere. Which of the two measured belongs to what is recorded of a measurement.

Needs `numba-cuda` and a driver when called, and nothing but Numba to be imported; `NUMBA_ENABLE_CUDASIM=1` runs the
same code in Numba's simulator.
"""
