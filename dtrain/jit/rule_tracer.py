"""`RuleTracer`: records the calls of array functions that a primitive's rule makes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NoReturn

import numpy as np

from dtrain.backend.tracing import suspended
from dtrain.jit.array_calls import ArrayCall
from dtrain.jit.array_functions import written_arguments
from dtrain.jit.array_proxies import ArrayProxy
from dtrain.jit.graph import Call, Ref, rebuild, refs_in
from dtrain.jit.number_proxies import NumberProxy
from dtrain.jit.proxies import real


class Untraceable(Exception):
    """A rule does more than to call functions of arrays."""


class RuleTracer:
    """Records the calls of one rule (`backend/tracing.py:Tracer`)."""

    traces_rules = True
    takes_other_sizes = False

    def __init__(self, call: Call):
        self.arguments: dict[int, int] = {}
        self.examples: list[Any] = []
        self._calls: list[ArrayCall] = []
        self._proxies: dict[int, Any] = {}  # by the id of the array
        self._constants: set[int] = set()

        def note(item: Any) -> Any:
            self._constants.add(id(item))
            return item

        rebuild((call.args, call.kwargs), note)

    def add(self, example: Any) -> Any:
        """A proxy of a new value."""
        ref = Ref(len(self.examples))
        self.examples.append(example)
        kind = NumberProxy if type(example) is float else ArrayProxy
        proxy = self._proxies[id(example)] = kind(example, ref, self)
        return proxy

    def forget(self) -> None:
        """Free the arrays: tracer and proxies refer to each other, and steps collect no cycles."""
        self._proxies.clear()
        self.examples.clear()

    def take_calls(self) -> list[ArrayCall]:
        """The calls since the last time."""
        calls, self._calls = self._calls, []
        return calls

    def number_of(self, value: Any) -> int:
        """The number of the value that a rule returned."""
        if type(value) is not ArrayProxy or value.tracer is not self:
            raise Untraceable
        return value.ref.value

    def call(
        self, function: Callable[..., Any], args: Any, kwargs: Any, name: str = "",
        recorded: Callable[..., Any] | None = None, writes: Any = None, opaque: bool = False,
    ) -> Any:  # fmt: skip
        """Run and record a function of arrays; of a kernel the body for these shapes and dtypes."""
        choose = getattr(function, "choose_body", None)
        function = function if choose is None else choose(*real(args))
        name = name or function.__name__
        encoded: tuple[Any, dict[str, Any]]
        encoded = rebuild((tuple(args), dict(kwargs)), self._encode)
        written = [real(x) for x in written_arguments(function, args, kwargs, name)]
        if any(x is self.examples[n] for x in written for n in self.arguments.values()):
            raise Untraceable
        with suspended():
            result = function(*real(tuple(args)), **real(dict(kwargs)))
        if id(result) in self._proxies and all(result is not x for x in written):
            raise Untraceable  # an argument of another layout would be copied
        outputs: list[Any] = []
        before = [ref.value for ref in refs_in(encoded)]
        returned = self._take(result, (), outputs)
        shared = {n for n in before for _, out in outputs if self._share_memory(n, out)}
        width = len(result) if type(result) is tuple else 0
        self._calls.append(
            ArrayCall(name, function, *encoded, outputs, False, "", False, shared, width)
        )
        return returned

    def _share_memory(self, first: int, second: int) -> bool:
        arrays = self.examples[first], self.examples[second]
        return first == second or (
            all(isinstance(x, np.ndarray) for x in arrays) and np.may_share_memory(*arrays)
        )

    def _encode(self, value: Any) -> Any:
        if type(value) in (ArrayProxy, NumberProxy) and value.tracer is self:
            return value.ref
        made_here = isinstance(value, np.ndarray) and id(value) not in self._constants
        if made_here or (callable(value) and not isinstance(value, type)):
            raise Untraceable
        return value

    def _take(self, result: Any, path: tuple[Any, ...], outputs: list[Any]) -> Any:
        if isinstance(result, (np.ndarray, np.generic)):
            if id(result) in self._proxies:
                if path:
                    raise Untraceable
                return self._proxies[id(result)]
            proxy = self.add(result)
            outputs.append((path, proxy.ref.value))
            return proxy
        if type(result) in (list, tuple):
            items = enumerate(result)
            return type(result)([self._take(item, (*path, i), outputs) for i, item in items])
        if result is not None:
            raise Untraceable
        return None

    def guard(self, *_: Any, **__: Any) -> NoReturn:
        """A rule reads a value."""
        raise Untraceable

    refuse = note_tensor = guard
