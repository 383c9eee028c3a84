"""`TensorMethods`: the operations of Tensor, bound by `dtrain.functions.table`.

What they are is declared in `tensor_methods.pyi`, which `scripts/generate_stubs.py` makes from that
table.
"""


class TensorMethods:
    """Base class of Tensor, to which the table of operations adds methods and operators."""

    __slots__ = ()
