"""The kernels for NumPy's float32 and float64, compiled by Numba at first use and kept on disk.

Arithmetic is in the dtype of the arrays; sums run in an order that shapes alone decide.
"""
