"""The function that runs a segment's operations on Tensors, one by one: for second derivatives."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from dtrain.jit.code_text import CodeText
from dtrain.jit.graph import Call


def write_rerun(
    calls: Sequence[Call], tensors: Sequence[int], extras: Sequence[int],
    differentiated: Sequence[int], outputs: Sequence[int], filename: str,
) -> Callable[..., Any]:  # fmt: skip
    """A function of the lists `inputs` and `extras` that returns the results of the differentiated
    operations, and the outputs.

    tensors, extras : the values in those lists
    differentiated, outputs : the values that it returns
    """
    code = CodeText(lambda ref: f"x{ref.value}" + ".array" * ref.of_array, {})
    code.lines.append("def rerun(inputs, extras):")
    for name, values in (("inputs", tensors), ("extras", extras)):
        if values:
            code.lines.append("    " + "".join(f"x{value}, " for value in values) + f"= {name}")
    for call in calls:
        called = code.call(call.function, call.args, call.kwargs)
        code.lines.append(f"    x{call.outputs[0][1]} = {called}")
    made, given = (", ".join(f"x{v}" for v in values) for values in (differentiated, outputs))
    code.lines.append(f"    return [{made}], [{given}]")
    return code.make(filename)
