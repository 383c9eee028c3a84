"""`CallText`: the text of a call of an array function, whose result may go into a free array."""

from __future__ import annotations

import math
import operator
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from dtrain.jit import call_tables
from dtrain.jit.array_calls import ArrayCall, Example
from dtrain.jit.array_functions import call_method, get_attribute
from dtrain.jit.array_layouts import ArrayLayouts
from dtrain.jit.code_text import CodeText
from dtrain.jit.flat_items import is_product
from dtrain.jit.graph import Ref


class CallText:
    """Writes calls.

    Parameters
    ----------
    code : where constants are put
    examples : what is known of values
    layouts : how they lie in memory
    memory : the text of the memory, or None, for values that nobody takes but who gets them
    """

    def __init__(
        self, code: CodeText, examples: Mapping[int, Example], layouts: ArrayLayouts,
        memory: Mapping[int, str],
    ):  # fmt: skip
        self._code, self._examples, self._layouts, self._memory = code, examples, layouts, memory

    def lines(self, call: ArrayCall, free: Sequence[int]) -> list[str]:
        """The lines that run a call; the result may be written into the values that are free."""
        outputs = [value for _, value in call.outputs]
        if len(outputs) == 1 and self._is_same(call):
            return [f"a{outputs[0]} = {self._code.text(call.args[1])}"]
        called = self._called(call, free)
        if not outputs:
            return [called]
        if not call.width:
            lines = [f"a{outputs[0]} = {called}"]
        elif [path for path, _ in call.outputs] == [(i,) for i in range(call.width)]:
            lines = [", ".join(f"a{value}" for value in outputs) + f", = {called}"]
        else:
            lines = self._code.call_lines(call, called)
        return lines

    def _is_same(self, call: ArrayCall) -> bool:
        """Whether a call reshapes an array to the shape that it has."""
        if call.function is not call_method or call.name != "array.reshape":
            return False
        source, (_, made) = call.args[1], call.outputs[0]
        return (
            isinstance(source, Ref)
            and self._examples[source.value].shape == self._examples[made].shape
        )

    def _called(self, call: ArrayCall, free: Sequence[int]) -> str:
        """The text of a call."""
        text, args = self._code.text, call.args
        into = self._memory.get(call.outputs[0][1]) if len(call.outputs) == 1 else None
        if isinstance(call.function, np.ufunc):
            return self._ufunc(call, free, into)
        if call.function is get_attribute:
            return f"{text(args[0])}.{args[1]}"
        if call.function is operator.getitem:
            return f"{text(args[0])}[{text(args[1])}]"
        if call.function is operator.setitem:
            return f"{text(args[0])}[{text(args[1])}] = {text(args[2])}"
        if call.function is not call_method:
            called = self._code.call(call.function, args, call.kwargs)
            takes_memory = into is not None and is_product(call) and not call.kwargs
            return f"{called[:-1]}, {into})" if takes_memory else called
        name, array, *rest = args
        if name == "sum" and len(rest) < 2 and call.kwargs.keys() <= {"axis", "keepdims"}:
            axis = rest[0] if rest else call.kwargs.get("axis")
            keep = call.kwargs.get("keepdims", False)
            if axis == 0 and not keep and self._has_columns(array):
                from dtrain.backend.kernels.cpu.sums import column_sums  # imports Numba

                summed = self._code.call(column_sums, (array,), {})
                return summed if into is None else f"{summed[:-1]}, {into})"
            reduced = self._code.call(np.add.reduce, (array, axis, None, None, keep), {})
            return reduced if into is None else reduced.replace("None, None, ", f"None, {into}, ")
        inner = self._code.call(name, rest, call.kwargs)  # "k1(arguments)"
        return f"{text(array)}.{name}{inner[inner.index('(') :]}"

    def _has_columns(self, array: Any) -> bool:
        """Whether an array is a matrix that the kernel for sums of columns is faster for."""
        example = self._examples.get(array.value) if isinstance(array, Ref) else None
        if example is None or len(example.shape) != 2 or not call_tables.are_there():
            return False
        is_large = math.prod(example.shape) > call_tables.MAX_ELEMENTS
        return is_large and example.dtype is not None and example.dtype.char in "fd"

    def _ufunc(self, call: ArrayCall, free: Sequence[int], into: str | None) -> str:
        out = call.kwargs.get("out")
        out = out[0] if isinstance(out, tuple) and len(out) == 1 else out
        others = call.kwargs.keys() - {"out"}
        if isinstance(out, Ref) and not others:
            return self._code.call(call.function, (*call.args, out), {})
        if into is not None and not call.kwargs:
            return f"{self._code.call(call.function, call.args, {})[:-1]}, {into})"
        target = None if call.kwargs else self._target(call, free)
        if target is None:
            return self._code.call(call.function, call.args, call.kwargs)
        return self._code.call(call.function, (*call.args, Ref(target)), {})

    def _target(self, call: ArrayCall, free: Sequence[int]) -> int | None:
        """An argument into which the result can be written."""
        function: Any = call.function
        if function.signature is not None or function.nout != 1 or len(call.outputs) != 1:
            return None
        made, is_ordered = call.outputs[0][1], self._layouts.is_ordered
        like = self._examples[made]
        if not like.shape or not is_ordered(made):  # a number without a shape
            return None
        fits = (v for v in free if self._examples.get(v) == like and is_ordered(v))
        return next(fits, None)
