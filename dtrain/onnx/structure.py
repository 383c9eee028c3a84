"""`StructureTracer`: records branches and loops as blocks; `ControlFlow` says where they are."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np

from dtrain.autograd.tensor import Tensor, wrap
from dtrain.backend.dtypes import get_default_dtype
from dtrain.backend.nested import find_nested
from dtrain.backend.tracing import suspended
from dtrain.jit.graph import Ref, Step
from dtrain.jit.number_proxies import NumberProxy
from dtrain.jit.places import find_place
from dtrain.jit.proxies import real
from dtrain.onnx.blocks import Block, BlockCall, check_scopes
from dtrain.onnx.leaves import Kind, Missing, Number, as_number
from dtrain.onnx.proto import Unsupported
from dtrain.onnx.recording import ExportTracer

R = TypeVar("R")

#: Arguments of operations that are values, not sizes or axes.
_VALUES = {"min", "max", "value"}

#: How deep branches may be nested, and how many there may be: recursion that depends on a tensor
#: has no end while both branches are recorded.
_DEPTH, _COUNT = 16, 1000


@dataclass(frozen=True)
class Mark:
    """A place in a recording to which it can be rolled back."""

    steps: int
    calls: int
    known: dict[int, Ref]
    proxies: dict[int, Any]


class StructureTracer(ExportTracer):
    """Records both branches of an `if` and the body of a loop, in calls "if" and "loop"."""

    def __init__(self, name: str):
        super().__init__(name, _refuse_read)
        #: how many branches and loops are being recorded, one within the other
        self.depth: int = 0
        self._count = 0

    def call(
        self, function: Callable[..., Any], args: Any, kwargs: Any, name: str = "",
        recorded: Callable[..., Any] | None = None, writes: Any = None, opaque: bool = False,
    ) -> Any:  # fmt: skip
        """Run and record; refuse an int that depends on a tensor where shapes may follow."""
        static = [value for key, value in kwargs.items() if key not in _VALUES]
        if next(find_nested(static, Number), None) is not None:
            raise Unsupported(
                f"{find_place()}: {name or function.__name__} gets an int that depends on a "
                "tensor, and its result may have another shape for another one"
            )
        return super().call(function, args, kwargs, name, recorded, writes, opaque)

    # --- blocks ---

    def record_block(self, run: Callable[[], R], place: str) -> tuple[Step, R]:
        """The calls of a function, apart from those around it, and what it returns."""
        self._count += 1
        if self.depth >= _DEPTH or self._count > _COUNT:
            raise Unsupported(
                f"{place}: branches on tensors are nested deeper than {_DEPTH}, or are more than "
                f"{_COUNT}: recursion that ends by a tensor's value has no ONNX form"
            )
        outer, self.steps = self.steps, [(Step(), None)]
        known, proxies = dict(self._known), dict(self._proxies)
        self.depth += 1
        try:
            result = run()
            return Step([call for part, _ in self.steps for call in part.calls]), result
        finally:
            self.depth -= 1
            self.steps = outer
            self._forget(known, proxies)

    def _forget(self, known: dict[int, Ref], proxies: dict[int, Any]) -> None:
        """Know the values that were known before, and constants."""
        constants = self.graph.tensors
        self._known = {i: ref for i, ref in self._known.items() if ref.value in constants} | known
        self._proxies = {
            i: proxy for i, proxy in self._proxies.items() if proxy.ref.value in constants
        } | proxies

    def mark(self) -> Mark:
        """The place where the recording is now."""
        return Mark(len(self.steps), len(self.step.calls), dict(self._known), dict(self._proxies))

    def roll_back(self, mark: Mark) -> None:
        """Forget what was recorded since then."""
        del self.steps[mark.steps :]
        del self.step.calls[mark.calls :]
        self._forget(mark.known, mark.proxies)

    def append_blocks(
        self, name: str, args: tuple[Any, ...], outputs: list[int], blocks: list[Block],
        place: str,
    ) -> None:  # fmt: skip
        """Add a call "if" or "loop"."""
        made = [((i,), index) for i, index in enumerate(outputs)]
        self.step.calls.append(
            BlockCall(name, _no_function, args, {}, made, False, place, blocks=blocks)
        )

    def check(self, step: Step) -> None:
        """Refuse a value that is used outside of the block that makes it."""
        check_scopes(step, set(self.graph.inputs) | self.graph.tensors.keys())

    # --- values ---

    def make_value(self, kind: Kind, values: Any) -> tuple[int, Any]:
        """A new value of a kind: its index, and the Tensor or number that stands for it."""
        if kind.is_number and kind.dtype is None:
            index = self.graph.add("number")
            return index, NumberProxy(float(values), Ref(index), self)
        array = np.array(np.broadcast_to(np.asarray(values, kind.dtype), kind.shape))
        with suspended():
            made = wrap(array)
        if kind.is_number:
            made = as_number(made)
        index = self.graph.add("tensor", array)
        self._know(made, Ref(index))
        return index, made

    def as_tensor(self, value: Any) -> Any:
        """A float that stands for a value of the graph as a tensor; anything else itself."""
        if type(value) is not NumberProxy:
            return value
        return self.call(_as_tensor, (value,), {}, "wrap")

    def ref_or_constant(self, value: Any) -> Any:
        """What an output of a block is: a Ref, or an array of a number of Python."""
        if isinstance(value, (Tensor, NumberProxy)):
            return self._encode_leaf(value)
        return np.asarray(value)

    def _encode_leaf(self, value: Any) -> Any:
        if isinstance(value, Missing):
            value.refuse()
        return super()._encode_leaf(value)

    def _output_leaf(self, value: Any) -> Any:
        if isinstance(value, Missing):
            value.refuse()
        return super()._output_leaf(value)


def _as_tensor(value: float) -> Tensor:
    return wrap(np.asarray(value, get_default_dtype()))


def real_value(value: Any) -> Any:
    """The values of a tensor or number, as they are for the example inputs."""
    value = real(value)
    return real(value.array) if isinstance(value, Tensor) else value


def _refuse_read(place: str) -> None:
    raise Unsupported(
        f"{place}: Python reads a tensor's value, or a number, here; a file keeps what `if`, "
        "loops, `and`, `or`, `not` and comparisons of a script do with it, and int(), float(), "
        "bool() and item()"
    )


def _no_function(*_: Any) -> Any:
    raise AssertionError(f"{find_place()}: blocks are not called")
