"""The kernels as array code for NumPy and CuPy: the specification of the compiled bodies.

Kernels of which second derivatives exist are expressions, without assignment to arrays: double
backward runs them on recorded arrays.
"""
