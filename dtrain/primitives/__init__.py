"""Differentiable rules over arrays: the output and one gradient function per input."""
