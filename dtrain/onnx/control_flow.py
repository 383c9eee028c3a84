"""`ControlFlow`: what rewritten functions call while they are recorded for a file: Python's own
control flow for values of Python, calls "if" and "loop" for tensors."""

from __future__ import annotations

import builtins
import operator
from collections.abc import Callable, Sequence
from types import CodeType, FunctionType
from typing import Any

from dtrain.autograd.tensor import Tensor
from dtrain.jit.lowering import lower
from dtrain.jit.number_proxies import NumberProxy
from dtrain.jit.places import find_place
from dtrain.jit.rewriting import Rewriter
from dtrain.nn.module import Module
from dtrain.onnx.branches import is_symbolic
from dtrain.onnx.divisions import DIVIDING, Divisions
from dtrain.onnx.leaves import Missing, as_number
from dtrain.onnx.loops import Loops, SymbolicRange
from dtrain.onnx.size_reads import COMPARING, Compared
from dtrain.onnx.structure import StructureTracer
from dtrain.onnx.subscripts import get_item, set_item

_OPERATORS: dict[str, Callable[..., Any]] = {
    "Lt": operator.lt, "LtE": operator.le, "Gt": operator.gt, "GtE": operator.ge,
    "Eq": operator.eq, "NotEq": operator.ne, "Add": operator.iadd, "Sub": operator.isub,
    "Mult": operator.imul, "Div": operator.itruediv, "FloorDiv": operator.ifloordiv,
    "Mod": operator.imod, "Pow": operator.ipow, "MatMult": operator.imatmul,
    "BitAnd": operator.iand, "BitOr": operator.ior, "BitXor": operator.ixor,
    "LShift": operator.ilshift, "RShift": operator.irshift,
}  # fmt: skip


class ControlFlow(Loops, Divisions):
    """What rewritten functions call; `dtrain.jit.lowering` says where.

    Parameters
    ----------
    tracer : records the function
    modules : the modules that the function can reach
    kept_loops : the places of loops over ranges and tensors that are not unrolled
    lowered : the code of functions that were rewritten before
    """

    #: Python's own, which gives the variables of the function that calls it
    locals = staticmethod(builtins.locals)
    slice = staticmethod(builtins.slice)
    get_item = staticmethod(get_item)
    set_item = staticmethod(set_item)

    def __init__(
        self, tracer: StructureTracer, modules: Sequence[Module], kept_loops: set[str],
        lowered: dict[FunctionType, CodeType],
    ):  # fmt: skip
        Loops.__init__(self, tracer, modules, kept_loops)
        Divisions.__init__(self)
        self.functions: Rewriter = Rewriter(self, lower, lowered)
        #: of numbers, which may be dynamic sizes
        self.compared: Compared = []

    # --- calls ---

    def call(self, function: Any, /, *args: Any, **kwargs: Any) -> Any:
        """A call; of the user's functions in their rewritten form."""
        for value in (function, *args, *kwargs.values()):
            if isinstance(value, Missing):
                value.refuse()
        if function in _TAKE_TENSORS and not kwargs and any(map(is_symbolic, args)):
            return _TAKE_TENSORS[function](self, *args)
        if function in COMPARING:
            self.compared += [(find_place(), x) for x in args if type(x) in (int, float)]
        owner = getattr(function, "__self__", None)
        if isinstance(owner, Tensor) and getattr(function, "__name__", "") == "item":
            return self._item(owner)
        result = self.functions.rewrite(function)(*args, **kwargs)
        self.note_rounding(function, args, result)
        return result

    def _bool(self, value: Any) -> Any:
        return as_number(self.condition(value) & True)

    def _int(self, value: Any) -> Any:
        return as_number(_one_element(self.tracer.as_tensor(value)).long() + 0)

    def _float(self, value: Any) -> Any:
        if type(value) is NumberProxy:
            return value
        value = _one_element(value)
        return self._item(value.float() if value.dtype.kind in "biu" else value)

    def _item(self, tensor: Tensor) -> Any:
        """A float, or a Number."""
        if tensor.numel() != 1 or tensor.dtype.kind not in "biu":
            return tensor.item()
        return as_number(tensor.reshape(()).clone())

    def _range(self, *given: Any) -> SymbolicRange:
        return SymbolicRange.of(given)

    def _largest(self, *values: Any) -> Any:
        return self._extreme(max, "Gt", values)

    def _smallest(self, *values: Any) -> Any:
        return self._extreme(min, "Lt", values)

    def _extreme(self, function: Any, kind: str, values: Sequence[Any]) -> Any:
        if len(values) == 1:
            return function(values[0])
        found = values[0]
        for value in values[1:]:
            test = self.compare((kind,), value, found)
            found = self._choose_value(test, value, found, f"{function.__name__}()")
        return found

    def _choose_value(self, test: Any, first: Any, second: Any, place: str) -> Any:
        return self.choose(test, lambda: first, lambda: second, (), (), {}, place)

    def _print(self, *_: Any) -> None:
        """Nothing: a file prints nothing."""

    # --- expressions ---

    def read(self, get: Callable[[], Any], name: str) -> Any:
        """The value of a variable, which may have none."""
        try:
            return get()
        except NameError:
            return Missing(f"the variable `{name}` has no value on the way here")

    def compare(self, kinds: tuple[str, ...], *values: Any) -> Any:
        """``a < b``, ``a < b < c``."""
        found = [self._compare(*given) for given in zip(kinds, values, values[1:])]
        made = found[-1]
        for other in reversed(found[:-1]):
            made = self._all_true(other, made)
        return made

    def _all_true(self, first: Any, second: Any) -> Any:
        return self.all_true(first, lambda: second, "a comparison")

    def _compare(self, kind: str, first: Any, second: Any) -> Any:
        if NumberProxy not in (type(first), type(second)):
            if isinstance(first, (int, float)) and isinstance(second, (int, float)):
                self.compared.append((find_place(), (first, second)))
            return _OPERATORS[kind](first, second)
        is_plain = isinstance(first, (int, float)) and isinstance(second, (int, float))
        result = _OPERATORS[kind](self.tracer.as_tensor(first), self.tracer.as_tensor(second))
        return as_number(result) if is_plain else result

    def both(self, first: Any, second: Callable[[], Any], place: str) -> Any:
        """``first and second()``."""
        if not is_symbolic(first):
            return first and second()
        return self.choose(first, second, lambda: first, (), (), {}, place)

    def either(self, first: Any, second: Callable[[], Any], place: str) -> Any:
        """``first or second()``."""
        if not is_symbolic(first):
            return first or second()
        return self.choose(first, lambda: first, second, (), (), {}, place)

    def negate(self, value: Any) -> Any:
        """``not value``."""
        return as_number(~self.condition(value)) if is_symbolic(value) else not value

    def augment(self, kind: str, target: Any, value: Any) -> Any:
        """``target += value``."""
        if kind in DIVIDING:
            self.divisor(kind, target, value)
        return _OPERATORS[kind](target, value)


#: Functions of Python that take tensors here.
_TAKE_TENSORS: dict[Any, Callable[..., Any]] = {
    bool: ControlFlow._bool, int: ControlFlow._int, float: ControlFlow._float,
    range: ControlFlow._range, max: ControlFlow._largest, min: ControlFlow._smallest,
    print: ControlFlow._print,
}  # fmt: skip


def _one_element(tensor: Tensor) -> Tensor:
    if tensor.numel() != 1:
        float(tensor)  # raises
    return tensor.reshape(())
