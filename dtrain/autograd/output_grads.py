"""`OutputGrads`: the gradients of several outputs, as the one gradient of a node with these."""

from __future__ import annotations


class OutputGrads(dict):
    """The gradients of a node's outputs by index, added up like an array."""

    shape = dtype = None

    def __add__(self, other: OutputGrads) -> OutputGrads:
        both = OutputGrads(self)
        for index, grad in other.items():
            both[index] = both[index] + grad if index in both else grad
        return both
