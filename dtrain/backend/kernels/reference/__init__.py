"""The kernels as array code for any array module: what the other bodies must compute.

Those that are differentiated twice are expressions: they write into no array.
"""
