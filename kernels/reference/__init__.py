"""NumPy twins of the kernels: slow, plain, and the definition of what a kernel must return."""
