"""`Branches`: what an `if` of a rewritten function does: one branch by a condition of Python, a
call "if" of both by a tensor."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from typing import Any

from dtrain.autograd.tensor import Tensor
from dtrain.jit.graph import rebuild
from dtrain.jit.number_proxies import NumberProxy
from dtrain.jit.tracer_warning import TracerWarning
from dtrain.nn.module import Module
from dtrain.onnx.blocks import Block
from dtrain.onnx.containers import Containers, same_items
from dtrain.onnx.leaves import Missing, kind_of, leaves_in
from dtrain.onnx.merging import Merger, Side
from dtrain.onnx.proto import Unsupported
from dtrain.onnx.structure import StructureTracer, real_value


def is_symbolic(value: Any) -> bool:
    """Whether a value is one of the graph, not of Python."""
    if isinstance(value, Missing):
        value.refuse()
    return isinstance(value, Tensor) or type(value) is NumberProxy


class Branches:
    """Branches, the conditions that choose among them, and checks.

    Parameters
    ----------
    tracer : records the function
    modules : the modules that the function can reach
    """

    def __init__(self, tracer: StructureTracer, modules: Sequence[Module]):
        self.tracer: StructureTracer = tracer
        self._modules = modules
        self._raised: list[BaseException] = []

    def containers(self, scope: dict[str, Any]) -> Containers:
        """What the code that runs can change besides its variables."""
        return Containers(scope, self._modules)

    # --- conditions ---

    def condition(self, value: Any) -> Tensor:
        """The truth of a tensor or number of the graph, as a tensor."""
        tensor = self.tracer.as_tensor(value)
        if tensor.numel() != 1:
            bool(tensor)  # raises
        tensor = tensor.reshape(()) if tensor.ndim else tensor
        return tensor if tensor.dtype == bool else tensor != 0

    def truth(self, value: Any) -> Any:
        """The truth of any value: a bool, or a tensor."""
        return self.condition(value) if is_symbolic(value) else bool(value)

    def all_true(self, first: Any, second: Callable[[], Any], place: str) -> Any:
        """``first and second()`` as a condition."""
        if not is_symbolic(first):
            return bool(first) and self.truth(second())
        return self.choose(first, lambda: self.truth(second()), lambda: False, (), (), {}, place)

    def any_true(self, first: Any, second: Callable[[], Any], place: str) -> Any:
        """``first or second()`` as a condition."""
        if not is_symbolic(first):
            return bool(first) or self.truth(second())
        return self.choose(first, lambda: True, lambda: self.truth(second()), (), (), {}, place)

    # --- checks ---

    def check(self, test: Any, message: Callable[[], Any], place: str) -> None:
        """``assert test, message()``."""
        if is_symbolic(test):
            self._warn_of_check(place)
        elif not test:
            raise AssertionError(message())

    def note_raised(self, error: Any) -> Any:
        """Note an error that the function is about to raise."""
        error = error() if isinstance(error, type) else error
        self._raised.append(error)
        return error

    def _warn_of_check(self, place: str) -> None:
        warnings.warn(
            f"onnx.export: {place}: the file does not check this, and raises no error",
            TracerWarning,
            stacklevel=2,
        )

    # --- branches ---

    def branch(
        self, test: Any, then: Callable[..., Any], other: Callable[..., Any],
        names: tuple[str, ...], values: tuple[Any, ...], scope: dict[str, Any], place: str,
    ) -> Any:  # fmt: skip
        """``if test``: the variables `names` after it; both functions take and return them."""
        return self._choose(test, (then, other), names, values, scope, place)

    def choose(
        self, test: Any, then: Callable[..., Any], other: Callable[..., Any],
        _: Any, values: tuple[Any, ...], scope: dict[str, Any], place: str,
    ) -> Any:  # fmt: skip
        """``then(*values) if test else other(*values)``."""
        return self._choose(test, (then, other), None, values, scope, place)

    def _choose(
        self, test: Any, functions: tuple[Callable[..., Any], ...], names: Any,
        values: tuple[Any, ...], scope: dict[str, Any], place: str,
    ) -> Any:  # fmt: skip
        if not is_symbolic(test):
            return functions[0 if test else 1](*values)
        condition = self.condition(test)
        taken = 0 if real_value(condition) else 1
        containers = self.containers(scope)
        sides = [self._record_side(f, values, containers, place) for f in functions]
        for which in (taken, 1 - taken):
            error = sides[which].error
            if error is None:
                continue
            if which == taken:
                raise error
            if error not in self._raised:
                raise Unsupported(
                    f"{place}: the branch that the example inputs do not take raises "
                    f"{type(error).__name__}: {error}"
                )
            self._warn_of_check(place)
            return functions[taken](*values)
        return self._merge(condition, taken, sides, names, containers, place)

    def _record_side(
        self, function: Callable[..., Any], values: tuple[Any, ...], containers: Containers,
        place: str,
    ) -> Side:  # fmt: skip
        before = containers.contents()

        def run() -> Side:
            result = function(*values)
            contents = containers.contents()
            copy = rebuild(result, lambda leaf: leaf)
            refs = {
                id(leaf): self.tracer.ref_or_constant(leaf)
                for leaf in leaves_in([copy, contents])
                if kind_of(leaf) is not None
            }
            return Side(result=result, copy=copy, contents=contents, refs=refs)

        try:
            step, side = self.tracer.record_block(run, place)
            side.step = step
        except Unsupported:
            raise
        except Exception as error:
            side = Side(error=error)
        finally:
            containers.restore(before)
        containers.require_attributes(f"{place}: a branch on a tensor")
        return side

    def _merge(
        self, condition: Tensor, taken: int, sides: list[Side], names: Any,
        containers: Containers, place: str,
    ) -> Any:  # fmt: skip
        merger = Merger(self.tracer, sides, taken, place)

        results, copies = [s.result for s in sides], [s.copy for s in sides]

        def merge(values: Any, copied: Any, name: str) -> Any:
            return values[0] if values[0] is values[1] else merger.merge(copied[0], copied[1], name)

        if names is None:
            result = merge(results, copies, "the value")
        else:
            result = tuple(map(merge, zip(*results), zip(*copies), names))
        contents = [
            old
            if all(same_items(old, x) for x in new)
            else merger.merge_items(new[0], new[1], name)
            for (name, _), old, *new in zip(
                containers.found, containers.contents(), *(side.contents for side in sides)
            )
        ]
        containers.restore(contents)
        blocks = []
        for which, side in enumerate(sides):
            side.step.outputs = [pair[which] for pair in merger.pairs]
            blocks.append(Block(side.step))
        given = (self.tracer.ref_or_constant(condition),)
        self.tracer.append_blocks("if", given, merger.made, blocks, place)
        return result
