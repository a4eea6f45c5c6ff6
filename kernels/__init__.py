"""Numba kernels: geometry, association, speed. They know arrays and nothing of the engine.

Every kernel has a NumPy twin of the same name in `kernels.reference`; the tests hold the two together.
"""
