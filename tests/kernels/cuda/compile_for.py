"""Compiles every CUDA kernel for the compute capability in the first argument; needs no GPU.

The simulator runs plain Python and checks neither types nor the limits of a GPU; the compiler does. Prints the name of
each kernel and the size of its PTX. Raises if a kernel does not compile or would allocate GPU memory.
"""

from __future__ import annotations

import sys
from pathlib import Path
from types import SimpleNamespace

import numba.cuda.dispatcher as dispatcher
from numba import cuda, types

sys.path.insert(0, str(Path(__file__).parents[3]))

from kernels.cuda import ground, lamp, speed, zones

CAPABILITY = tuple(int(part) for part in sys.argv[1].split("."))
FORMS = {
    "f": types.float64,
    "i": types.int32,
    "l": types.int64,
    "b": types.boolean,
    "s": types.int8,
    "u": types.uint8,
    "e": types.float32,
}
KERNELS = {
    ground._undistort: "f2 i1 f2",
    ground._to_ground: "f3 i1 f2 f2 f3",
    ground._onto_road: "f2 i1 f2 f2",
    ground._speed_by_homography: "f3 l1 i1 f2 f1 f1 f2",
    zones._inside: "f2 i1 f2 i1 i1 b2",
    zones._find_crossings: "f2 f2 i1 f2 i1 f2 s2",
    lamp._measure_lamps: "u2 u2 u2 [6] [4] f2 f2 e2",
    speed._fit_speed: "l1 f1 f2 f3 b1 (2) f2 f2 f1",
    speed._momentary_velocity: "l1 f1 f2 f3 b1 (3) f2 f1",
}
"""The arguments: dtype and dimensions of an array, (length) of a tuple of floats, [length] of a tuple of integers."""


def argument(form: str) -> types.Type:
    if form.startswith("("):
        return types.UniTuple(types.float64, int(form[1]))
    if form.startswith("["):
        return types.UniTuple(types.int64, int(form[1]))
    return types.Array(FORMS[form[0]], int(form[1]), "C")


dispatcher.get_current_device = lambda: SimpleNamespace(compute_capability=CAPABILITY)
for kernel, forms in KERNELS.items():
    signature = types.void(*map(argument, forms.split()))
    ptx, _ = cuda.compile_ptx(kernel.py_func, signature, cc=CAPABILITY)
    assert f".target sm_{''.join(map(str, CAPABILITY))}" in ptx
    assert "malloc" not in ptx, kernel.py_func.__name__
    sys.stdout.write(f"{kernel.py_func.__name__} {len(ptx)}\n")
