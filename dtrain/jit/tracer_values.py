"""`TracerValues`: the values of a path that is being recorded, and its calls.

Tensors that the function can reach hold an `ArrayProxy` instead of their array while it runs.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, cast

import numpy as np

from dtrain.autograd import grad_mode
from dtrain.autograd.tensor import Tensor, wrap
from dtrain.backend.tracing import suspended
from dtrain.jit.array_proxies import ArrayProxy
from dtrain.jit.graph import Call, Graph, Ref, Step, rebuild
from dtrain.jit.number_proxies import NumberProxy
from dtrain.jit.outside import OutsideArrays, overlaps
from dtrain.jit.places import find_place
from dtrain.jit.proxies import StandIn, real
from dtrain.jit.unreachable import only_tracer_holds


class TracerValues:
    """What a recording knows of Tensors and arrays, by their identity."""

    def __init__(self, name: str):
        # of this path alone; Program.add_path joins the paths
        self.graph: Graph = Graph(name)
        self.graph.grad_enabled = grad_mode.is_grad_enabled()
        self.refusal: str | None = None
        #: each step, and the outcome of the decision before it
        self.steps: list[tuple[Step, Any]] = [(Step(), None)]
        self.writes_outside: bool = False
        self._known: dict[int, Ref] = {}  # by the id of a Tensor, or of a real array
        self._proxies: dict[int, ArrayProxy] = {}
        self._kept: dict[int, Any] = {}  # by id, so that nothing else gets the id
        self._large: list[Tensor] = []  # results that are freed once nothing refers to them
        self._made: list[Tensor] = []
        self.outside = OutsideArrays()
        self._fresh: set[int] = set()  # tensors made meanwhile, by their ids
        self._inside: list[int] = []  # those of them that are values: constants
        self._stand_ins: dict[int, StandIn] = {}  # by the id of the original

    # --- values ---

    def add_tensor(self, kind: str, tensor: Tensor, name: str) -> Ref:
        """Add an input, a parameter, a buffer or another tensor from outside."""
        index = self.graph.add(kind, tensor.array, name)
        if kind == "input":
            self.graph.inputs.append(index)
        else:
            self.graph.tensors[index] = tensor
        ref = Ref(index)
        self.outside.add(real(tensor.array))
        self._know(tensor, ref)
        return ref

    def add_input(self, tensor: Tensor, name: str) -> Tensor:
        """Add a Tensor that is an argument; returns its stand-in."""
        stand_in = object.__new__(StandIn)
        stand_in.array, stand_in._version = real(tensor.array), tensor._version
        stand_in._requires_grad, stand_in._node = tensor.requires_grad, tensor._node
        stand_in.original = tensor
        self._stand_ins[id(tensor)] = stand_in
        ref = self.add_tensor("input", stand_in, name)
        self._known.setdefault(id(tensor), ref)
        self._kept[id(tensor)] = tensor
        return stand_in

    def add_number(self, value: float, name: str) -> NumberProxy:
        """Add a float that is an argument."""
        index = self.graph.add("input", None, name)
        self.graph.inputs.append(index)
        return NumberProxy(value, Ref(index), cast(Any, self))

    def _know(self, tensor: Tensor, ref: Ref) -> None:
        self._known[id(tensor)] = ref
        self._kept[id(tensor)] = tensor
        array = real(tensor.array)
        proxy = self._proxies.get(id(array))
        if proxy is None:
            proxy = self._proxy(array, Ref(ref.value, of_array=True))
        tensor.array = proxy

    def _proxy(self, array: Any, ref: Ref) -> ArrayProxy:
        proxy = self._proxies[id(array)] = ArrayProxy(array, ref, cast(Any, self))
        return proxy

    def note_tensor(self, tensor: Tensor) -> None:
        """Note a Tensor that was made around an array, not by a recorded call."""
        self._made.append(tensor)
        self._fresh.add(id(tensor))

    def _ref_of(self, tensor: Tensor) -> Ref:
        ref = self._known.get(id(tensor))
        if ref is not None:
            return ref
        if type(tensor.array) is ArrayProxy:
            return self._alias(tensor, tensor.array)
        proxy = self._proxies.get(id(tensor.array))
        if proxy is not None:
            return self._alias(tensor, proxy)
        return self._capture(tensor)

    def _alias(self, tensor: Tensor, proxy: ArrayProxy) -> Ref:
        """A Tensor that was put around a known array: as `detach` does, or anew."""
        index = self.graph.add("tensor", proxy.real)
        for known in self._kept.values():
            if not isinstance(known, Tensor) or id(known) not in self._known:
                continue
            if known._version is tensor._version and real(known.array) is proxy.real:
                function: Callable[..., Any] = Tensor.detach
                argument = self._known[id(known)]
                break
        else:
            function, argument = wrap, proxy.ref
        self._append(function.__name__, function, (argument,), {}, [((), index)], [])
        self._known[id(tensor)] = Ref(index)
        self._kept[id(tensor)] = tensor
        return Ref(index)

    def _capture(self, tensor: Tensor) -> Ref:
        """A Tensor from outside of the function, or one made of constants inside."""
        if tensor._node is not None:
            self.refuse("a tensor with a history from outside of the function is used")
        index = self.graph.add("constant", tensor.array)
        self.graph.tensors[index] = tensor
        if id(tensor) not in self._fresh:
            self.outside.add(tensor.array)
        else:
            self._inside.append(index)
        self._know(tensor, Ref(index))
        return Ref(index)

    def encode(self, value: Any) -> Any:
        """An argument with a Ref for each value of the graph in it."""
        return rebuild(value, self._encode_leaf)

    def _encode_leaf(self, value: Any) -> Any:
        if isinstance(value, Tensor):
            return self._ref_of(value)
        if type(value) in (ArrayProxy, NumberProxy):
            return value.ref
        if isinstance(value, np.ndarray) and id(value) in self._proxies:
            return self._proxies[id(value)].ref
        return real(value)

    # --- calls ---

    @property
    def step(self) -> Step:
        """The step that is being recorded."""
        return self.steps[-1][0]

    def _append(
        self, name: str, function: Callable[..., Any], args: Any, kwargs: dict[str, Any],
        outputs: list[Any], written: list[Any],
    ) -> None:  # fmt: skip
        outside = any(map(self.outside.has, written))
        self.writes_outside = self.writes_outside or outside
        enabled = grad_mode.is_grad_enabled()
        place = find_place()
        self.step.calls.append(Call(name, function, args, kwargs, outputs, enabled, place, outside))

    def refuse(self, reason: str) -> None:
        """Refuse the recording; the first reason is kept."""
        if self.refusal is None:
            self.refusal = f"{find_place()}: {reason}"

    # --- freeing, keeping and restoring values ---

    def _free_if_unreachable(self, tensor: Tensor) -> bool:
        """Free a result that the function cannot use any more; returns whether it did."""
        if type(tensor.array) is not ArrayProxy or not only_tracer_holds(tensor):
            return False
        del self._known[id(tensor)], self._kept[id(tensor)]
        del self._proxies[id(real(tensor.array))]
        return True

    def _keep_constants(self, written: list[Any]) -> None:
        """Keep the values of constants that are about to be written to: a run begins with them."""
        self._copy_constants(
            index
            for index in self._inside
            if index not in self.graph.copied
            and overlaps(real(self.graph.tensors[index].array), written)
        )

    def _copy_constants(self, indices: Iterable[int]) -> None:
        """Keep the values of constants as they are now, for each run to begin with a copy."""
        for index in indices:
            constant = self.graph.tensors[index]
            if constant._requires_grad:
                self.refuse("it makes a leaf that requires grad, and writes to it or returns it")
            if index not in self.graph.copied:
                self.graph.copied.add(index)
                self.graph.tensors[index] = _plain_tensor(real(constant.array).copy())

    def _restore(self) -> None:
        """Give the Tensors their arrays back, and drop the proxies: tracer and proxies refer to
        each other, and steps collect no cycles."""
        for tensor in (*self._kept.values(), *self._made):
            if isinstance(tensor, Tensor) and type(tensor.array) is ArrayProxy:
                tensor.array = tensor.array.real
        self._proxies.clear()


def _plain_tensor(array: Any) -> Tensor:
    with suspended():
        return wrap(array)
