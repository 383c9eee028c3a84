"""`GraphTracer`: records the calls of a function, while it runs on real values, as a path.

Tensors that the function can reach hold an `ArrayProxy` instead of their array while it runs. Each
operation on Tensors is one call; array code outside of operations is recorded call by call.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from dtrain.autograd import autocast_mode, grad_mode
from dtrain.autograd.tensor import Tensor
from dtrain.backend import default_generator
from dtrain.backend.nested import find_nested
from dtrain.backend.tracing import current_tracer, recording, suspended
from dtrain.jit.array_functions import written_arguments
from dtrain.jit.array_proxies import ArrayProxy
from dtrain.jit.graph import Ref, Step, rebuild, refs_in
from dtrain.jit.number_proxies import NumberProxy
from dtrain.jit.places import find_place, library_reads
from dtrain.jit.proxies import StandIn, real
from dtrain.jit.side_effects import only_drew
from dtrain.jit.tracer_values import TracerValues
from dtrain.jit.unreachable import LARGE_BYTES


class Refusal(Exception):
    """A function cannot be recorded; says why, and at which line."""


class GraphTracer(TracerValues):
    """Records one path through a function.

    Parameters
    ----------
    name : the name of the function, for the graph
    on_decision : if given, what the user's code reads of a value becomes a constant, with a call
        of `on_decision(place)`, instead of a decision (torch.jit.trace)
    """

    traces_rules = False
    takes_other_sizes = False
    #: whether large values that the function cannot reach any more are freed
    _frees_values = True

    def __init__(self, name: str, on_decision: Callable[[str], None] | None = None):
        super().__init__(name)
        self._on_decision = on_decision

    # --- events ---

    def call(
        self, function: Callable[..., Any], args: Sequence[Any], kwargs: Any, name: str = "",
        recorded: Callable[..., Any] | None = None, writes: Any = None, opaque: bool = False,
    ) -> Any:  # fmt: skip
        """Run `function` on real arrays with nothing recorded inside; record it as one call.

        `recorded` is what later runs call instead of `function`. `writes`: the Tensors that it
        changes, or True if it changes what the graph does not know. `opaque`: it may use tensors
        that are no arguments.
        """
        name = name or function.__name__
        if self._frees_values:
            self._large = [x for x in self._large if not self._free_if_unreachable(x)]
        encoded, encoded_kwargs = self.encode(tuple(args)), self.encode(dict(kwargs))
        written = written_arguments(function, args, kwargs, name)
        if any(type(array) is not ArrayProxy for array in written) and any(
            refs_in((encoded, encoded_kwargs))
        ):
            self.refuse("values are written into an array from outside of the function")
        written = [real(array) for array in written]
        changed = written + [real(x.array) for x in find_nested((writes,), Tensor)]
        self._keep_constants(changed)
        self.outside.keep(changed)
        stand_ins = [x for x in find_nested((args, kwargs), Tensor) if type(x) is StandIn]
        real_args, real_kwargs = real(tuple(args)), real(dict(kwargs))
        reached = [*find_nested((real_args, real_kwargs), Tensor)]
        if opaque:  # it may use any tensor that it can find
            reached += [x for x in self._kept.values() if isinstance(x, Tensor)]
        swapped = list({id(x): x for x in reached}.values())
        places = [(tensor, tensor.array) for tensor in swapped]
        for tensor in swapped:
            tensor.array = real(tensor.array)
        arrays = [tensor.array for tensor in swapped]
        try:
            with suspended():
                result = function(*real_args, **real_kwargs)
        finally:
            for (tensor, before), array in zip(places, arrays):
                if tensor.array is array:
                    tensor.array = before
                else:
                    self.refuse(f"{name} replaces the memory of a tensor")
        for tensor in stand_ins:
            tensor._node = tensor.original._node
            tensor._requires_grad = tensor.original._requires_grad
        if writes is True:
            self.writes_outside = True
        elif writes is not None:
            written += [real(tensor.array) for tensor in writes]
        outputs: list[tuple[tuple[Any, ...], int]] = []
        guards: list[tuple[Ref, Any]] = []
        returned = self._take_outputs(result, (), outputs, guards)
        self._append(name, recorded or function, encoded, encoded_kwargs, outputs, written)
        if writes is True:
            self.step.calls[-1].writes_outside = True
        for ref, value in guards:
            self._decide(ref, value)
        return returned

    def _take_outputs(self, result: Any, path: tuple, outputs: list, guards: list) -> Any:
        """The result of a call, with proxies; notes its values, and those to guard."""
        if isinstance(result, Tensor):
            if id(result) not in self._known:
                index = self.graph.add("tensor", result.array)
                outputs.append((path, index))
                self._know(result, Ref(index))
                if result.array.nbytes >= LARGE_BYTES:
                    self._large.append(result)
            return self._stand_ins.get(id(result), result)
        if isinstance(result, (np.ndarray, np.generic)) or hasattr(
            result, "__cuda_array_interface__"
        ):
            proxy = self._proxies.get(id(result))
            if proxy is None:
                index = self.graph.add("array", result)
                outputs.append((path, index))
                proxy = self._proxy(result, Ref(index))
                self._kept[id(result)] = result
            return proxy
        if isinstance(result, tuple) and hasattr(result, "_fields"):
            return type(result)(
                *(self._take_outputs(x, (*path, i), outputs, guards) for i, x in enumerate(result))
            )
        if type(result) in (list, tuple):
            return type(result)(
                [self._take_outputs(x, (*path, i), outputs, guards) for i, x in enumerate(result)]
            )
        if type(result) is dict:
            return {
                key: self._take_outputs(item, (*path, key), outputs, guards)
                for key, item in result.items()
            }
        if type(result) is float:
            index = self.graph.add("number")
            outputs.append((path, index))
            return NumberProxy(result, Ref(index), self)
        if result is not None and isinstance(result, (bool, int, str)):
            index = self.graph.add("number")
            outputs.append((path, index))
            guards.append((Ref(index), result))
        elif result is not None:
            self.refuse(f"an object of type {type(result).__name__} comes out of a call")
        return result

    def guard(
        self, source: Any, value: Any, function: Callable[..., Any] = bool,
        args: tuple[Any, ...] = (), name: str = "",
    ) -> Any:  # fmt: skip
        """Note that Python read `value`, which is `function(source, *args)`; returns it."""
        if self._on_decision is not None and not library_reads():
            self._on_decision(find_place())
            return value
        if name == "number.item":
            function = item
        index = self.graph.add("number")
        encoded = (source.ref, *self.encode(args))
        self._append(
            name or f"number.{function.__name__}", function, encoded, {}, [((), index)], []
        )
        self._decide(Ref(index), value)
        return value

    def _decide(self, ref: Ref, value: Any) -> None:
        if any(call.writes_outside for step, _ in self.steps for call in step.calls):
            self.refuse("a branch on a value comes after a change of something outside")
        self.step.decides = ref
        self.step.place = find_place()
        self.steps.append((Step(), outcome_key(value)))

    # --- the whole ---

    def record(self, function: Callable[[], Any]) -> Any:
        """Run a function under this tracer; returns its result, with real arrays and numbers."""
        generator = default_generator()
        state = generator.get_state()
        enabled = grad_mode.is_grad_enabled()
        try:
            # casts of parameters are part of the graph, whether they were made before or not
            casts = autocast_mode.restored(autocast_mode.get_mode())
            with recording(self), casts:
                result = function()
                if current_tracer() is not self or grad_mode.is_grad_enabled() != enabled:
                    self.refuse("it changes the grad mode of its caller")
                self.step.outputs = rebuild(result, self._output_leaf)
                returned = {ref.value for ref in refs_in(self.step.outputs)}
                self._copy_constants(returned.intersection(self._inside))
            if not only_drew(state, generator.get_state()):
                self.refuse("it sets the state of the random generator")
            return real(result)
        finally:
            self._restore()

    def _output_leaf(self, value: Any) -> Any:
        if isinstance(value, Tensor) or type(value) in (ArrayProxy, NumberProxy):
            return self._encode_leaf(value)
        if isinstance(value, (int, float, str, bytes, type(None), np.dtype)):
            return value
        self.refuse(f"it returns a {type(value).__name__}, which is no tensor")
        return value


def item(array: Any) -> Any:
    return array.item()


def outcome_key(value: Any) -> Any:
    """A value on which Python branched, as the key of a branch: NaN is one value."""
    if isinstance(value, float) and value != value:
        return "nan"
    if isinstance(value, list):
        return repr(value)
    return value
