"""NumPy twins of the kernels: slow, plain, and the definition of what a kernel must return.

A twin takes the arguments of the kernel of its name in the module of its name, whose docstring states the contract.
"""
