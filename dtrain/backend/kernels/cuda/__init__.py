"""The kernels for CuPy's float32 and float64: CUDA C++, compiled by NVRTC at first use.

Sums run in an order that shapes alone decide: no atomic additions.
"""
