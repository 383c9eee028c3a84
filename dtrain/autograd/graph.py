"""The graph of recorded operations and the backward pass over it.

Nodes refer to nodes and to leaf tensors. Only the vjps keep arrays alive, so an array that no vjp
needs is freed during the forward pass.

The gradient of a complex tensor z = x + iy is dL/dx + i dL/dy in PyTorch, which users, hooks and
custom Functions see. Between the nodes its conjugate runs, dL/dx - i dL/dy: it is mapped by the
transposed derivative alone, so that a holomorphic operation needs no other rule than a real one.
"""

from __future__ import annotations

import itertools
import operator
import threading
import traceback
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np

from dtrain.autograd.anomaly import call_stack, refuse_nan, state as anomaly
from dtrain.autograd.gradient_array import conjugate, convert, is_unshared, sum_to
from dtrain.autograd.gradient_memory import find_memory
from dtrain.autograd.primitive import VJP, Primitive
from dtrain.autograd.refusals import refuse_freed, refuse_modified
from dtrain.autograd.sliced_gradient import SlicedGradient, add_on_device
from dtrain.backend import Array, on_device_of

#: the `order` of the next node
node_order = itertools.count()


class Node:
    """One recorded operation, which maps the gradient of its output to those of its inputs.

    primitive : the Primitive that was run, or the name of an operation that is no Primitive
    parents : for each input the Node that made it, the input itself if it is a leaf, or None
    vjps : the vector-Jacobian products, one for each input; None once they are freed
    saved : for each value that a vjp keeps (its index, its version counter, its version at the time
        of the forward pass); None for a value that is no Tensor
    call : (function, arrays, static arguments) if double backward runs the primitive again
    stack : the lines that called the operation, in anomaly mode
    """

    #: whether `take_vjps` returns the gradients of the parents themselves, one after the other
    yields_parts = False
    hooks: list[Callable[..., Any]] | None = None
    saved: Sequence[tuple[int, list[int], int] | None] = ()
    stack: traceback.StackSummary | None = None
    call: Iterable[Any] | None = None

    def __init__(
        self,
        primitive: Primitive | str,
        parents: Sequence[Any],
        vjps: Sequence[Callable[..., Any]],
        out: Array,
    ):
        self.primitive = primitive
        self.parents = parents
        self.vjps: Iterable[Callable[..., Any]] | None = vjps
        self.shape: tuple[int, ...] = out.shape
        self.dtype: np.dtype = out.dtype
        self.order: float = next(node_order)
        if anomaly.enabled:
            self.stack = call_stack()

    @property
    def name(self) -> str:
        """The name of the operation."""
        return self.primitive if isinstance(self.primitive, str) else self.primitive.name

    def __repr__(self) -> str:
        return f"<{self.name} backward>"

    def expand(self) -> Any:
        """Replace a parent of several operations by the nodes of these."""

    def take_parts(
        self, grad: Array, keep: bool, memory: Sequence[Array | None]
    ) -> Iterable[Array | None]:  # fmt: skip
        """Of a node that yields parts the gradient of each parent in turn, in the memory that is
        given for it if it fits."""
        raise AssertionError(f"{self.name} yields no parts")

    def take_vjps(
        self, grad: Array, keep: bool, record_vjps: Callable[[Node], Iterable[VJP]] | None
    ) -> Iterable[VJP]:
        """Return the vjps after checking the versions of saved values; frees them unless `keep`.

        `record_vjps` returns vjps that are recorded themselves (double backward).
        """
        vjps = self.vjps
        if vjps is None:
            refuse_freed(self.name)
        for saved in self.saved:
            if saved is not None and saved[1][0] != saved[2]:
                self._refuse_modified(vjps, saved, record_vjps is not None)
        if record_vjps is not None:
            vjps = record_vjps(self)
        if not keep:
            self.vjps = None
            if self.call is not None:
                self.call = None
        return vjps

    def _refuse_modified(
        self, vjps: Iterable[VJP], saved: tuple[int, list[int], int], double_backward: bool
    ) -> None:
        """Raise if a wanted gradient needs a value that was modified in place.

        Double backward that runs the primitive again needs all inputs.
        """
        index, (now,), then = saved
        assert not isinstance(self.primitive, str)
        wanted = [vjp for parent, vjp in zip(self.parents, vjps) if parent is not None]
        inputs = None if self.call is None else list(self.call)[1]
        runs_again = double_backward and inputs is not None
        if runs_again or self.primitive.keeps(index, wanted, inputs):
            refuse_modified(self.name, self.primitive.value_name(index), now, then)


class _PerThread(threading.local):
    def __init__(self) -> None:
        self.callbacks: list[Callable[[], None]] | None = None


_running = _PerThread()


def is_backward_running() -> bool:
    """Whether this thread is inside a backward pass, as recomputed segments are."""
    return _running.callbacks is not None


def call_after_backward(callback: Callable[[], None]) -> None:
    """Call `callback` once at the end of the backward pass that runs on this thread."""
    assert _running.callbacks is not None, "no backward pass is running"
    if callback not in _running.callbacks:
        _running.callbacks.append(callback)


def run_backward(
    roots: Sequence[tuple[Any, Array]],
    keep_graph: bool,
    wanted: Sequence[Any] | None = None,
    record_vjps: Callable[[Node], Sequence[Callable[..., Any]]] | None = None,
) -> list[Array | None]:
    """Run the backward pass: visit each node between roots and leaves once, newest first.

    Parameters
    ----------
    roots : (Node or leaf Tensor, gradient) pairs
    keep_graph : keep the saved values for another backward pass
    wanted : Nodes and leaf Tensors whose gradients are returned, without accumulation; if None the
        gradients accumulate in the leaves
    record_vjps : returns vjps of a node whose operations are recorded; gradients are then
        RecordedArrays
    """
    nodes, leaf_uses = _reachable([root for root, _ in roots])
    if record_vjps is not None and any(node.yields_parts for node in nodes):
        for node in nodes:
            node.expand()
        nodes, leaf_uses = _reachable([root for root, _ in roots])
    relevant = None if wanted is None else _nodes_leading_to(wanted, nodes)
    wanted_ids = {id(want) for want in wanted or ()}
    pending: dict[int, Any] = {}  # arrays, or SlicedGradients
    summed: set[int] = set()  # gradients in arrays of their own, to which adding in place is safe
    found: dict[int, Array] = {}
    check_nan = anomaly.enabled and anomaly.check_nan
    takes_parts = wanted is None and not check_nan
    may_add = record_vjps is None and not check_nan
    outer, _running.callbacks = _running.callbacks, []

    def add_gradient(target: Any, like: Any, grad: Array) -> None:
        """Add to the pending gradient of a node or leaf; `like` has its shape and dtype."""
        if grad.shape != like.shape:
            grad = sum_to(grad, like.shape)
        if grad.dtype is not like.dtype and grad.dtype != like.dtype:
            grad = convert(grad, like.dtype)
        key = id(target)
        if type(pending.get(key)) is SlicedGradient:
            pending[key] = pending[key].whole()
            summed.discard(key)
        if key not in pending:
            pending[key] = grad
        elif key in summed:
            pending[key] += grad
        else:
            pending[key] = pending[key] + grad
            summed.add(key)

    def add_part(target: Any, vjp: VJP, grad: Array) -> bool:
        """Add a vjp's gradient in place to a target's pending gradient; False if it has none."""
        key = id(target)
        whole = pending.get(key)
        if type(whole) is not np.ndarray or not whole.ndim or type(grad) is not np.ndarray:
            return False
        if whole.dtype is not grad.dtype or grad.dtype.char not in "fd":
            return False
        if key not in summed:
            pending[key] = whole = whole + 0.0  # -0 becomes 0, as where a whole gradient is added
            summed.add(key)
        vjp(grad, whole)
        return True

    def count_down(leaf: Any) -> None:
        """Count one use of a leaf as done; after the last one accumulate its gradient."""
        key = id(leaf)
        leaf_uses[key] -= 1
        if not leaf_uses[key] and key in pending:
            grad = complete(leaf, pending.pop(key))
            if wanted is None and leaf._requires_grad:  # not if it was frozen since
                leaf.accumulate_grad(conjugate(grad))

    def accumulate_parts(node: Node, grad: Any) -> None:
        """Run a node that yields the gradient of each parent in turn."""
        memory = find_memory(node.parents, leaf_uses)
        for parent, place, part in zip(
            node.parents, memory, node.take_parts(grad, keep_graph, memory)
        ):
            if place is not None and part is place:
                leaf_uses[id(parent)] = 0
                parent._bucket.take_grad(parent._bucket_index)
            elif parent is not None and not accumulate_whole(parent, part):
                is_leaf = not isinstance(parent, Node)
                if part is not None:
                    add_gradient(parent, parent.array if is_leaf else parent, part)
                if is_leaf:
                    count_down(parent)

    def accumulate_whole(leaf: Any, part: Any) -> bool:
        """Accumulate the whole gradient of a leaf without hooks; False if it may be a part."""
        if (
            leaf_uses.get(id(leaf)) != 1
            or type(part) is not np.ndarray
            or part.shape != leaf.array.shape
            or (part.dtype is not leaf.array.dtype and part.dtype != leaf.array.dtype)
            or id(leaf) in pending
            or leaf.hooks
            or not leaf._requires_grad
            or part.dtype.kind == "c"
        ):
            return False
        leaf_uses[id(leaf)] = 0
        bucket = leaf._bucket
        if bucket is None or leaf._after_accumulate:
            unshared = leaf._grad is None and is_unshared(part)
            leaf.accumulate_grad(part, unshared)
        else:
            bucket.accumulate(leaf._bucket_index, part)
        return True

    def complete(target: Any, grad: Array) -> Array:
        """Run the hooks on the complete gradient of a node or leaf; returns the gradient."""
        if isinstance(grad, np.generic):  # NumPy's operators return scalars for 0-d arrays
            grad = np.asarray(grad)
        if target.hooks or id(target) in wanted_ids:
            seen = conjugate(grad)
            for hook in target.hooks or ():
                seen = hook(seen)
            if id(target) in wanted_ids:
                found[id(target)] = seen
            grad = conjugate(seen)
        summed.discard(id(target))
        return grad

    try:
        # as in PyTorch, no warnings for NaN and infinity
        with np.errstate(all="ignore"), on_device_of(*(grad for _, grad in roots)):
            for root, grad in roots:
                grad = conjugate(grad)
                if isinstance(root, Node):
                    add_gradient(root, root, grad)
                else:
                    add_gradient(root, root.array, grad)
                    count_down(root)
            while nodes:
                node = nodes.pop()
                key = id(node)
                if key not in pending or (relevant is not None and key not in relevant):
                    # not wanted, or a custom Function returned None as its gradient
                    for parent in node.parents:
                        if parent is not None and not isinstance(parent, Node):
                            count_down(parent)
                    continue
                grad = pending.pop(key)
                if type(grad) is SlicedGradient:
                    grad = grad.whole()
                if node.hooks or wanted_ids or summed or type(grad) is not np.ndarray:
                    grad = complete(node, grad)
                if takes_parts and node.yields_parts:
                    accumulate_parts(node, grad)
                    continue
                vjps: Iterable[Any] = node.take_vjps(grad, keep_graph, record_vjps)
                adds = not check_nan and type(node.primitive) is Primitive and node.primitive.adds
                on_device = may_add and type(grad) is not np.ndarray and not node.yields_parts
                for parent, vjp in zip(node.parents, vjps):
                    if parent is None:
                        continue
                    leaf = None if isinstance(parent, Node) else parent
                    if (relevant is None or id(parent) in relevant) and not (
                        adds and add_part(parent, vjp, grad)
                    ):
                        if (
                            on_device
                            and leaf is None
                            and add_on_device(parent, vjp, grad, pending, summed)
                        ):
                            continue
                        part = vjp if node.yields_parts else vjp(grad)
                        if takes_parts and leaf is not None and accumulate_whole(leaf, part):
                            continue
                        if check_nan:
                            position = [id(other) for other in node.parents].index(id(parent))
                            refuse_nan(node.name, node.stack, position, part)
                        if part is not None:
                            add_gradient(parent, parent if leaf is None else leaf.array, part)
                    if leaf is not None:
                        count_down(leaf)
        callbacks, _running.callbacks = _running.callbacks, []
        for callback in callbacks:
            callback()
    finally:
        _running.callbacks = outer
    return [found.get(id(want)) for want in wanted or ()]


def _reachable(roots: Sequence[Any]) -> tuple[list[Node], dict[int, int]]:
    """All nodes reachable from the roots, oldest first, and the number of uses of each leaf."""
    seen: dict[int, Node] = {}
    leaf_uses: dict[int, int] = {}
    new: list[Sequence[Any]] = [roots]
    while new:
        for item in new.pop():
            if item is None:
                continue
            key = id(item)
            if not isinstance(item, Node):
                leaf_uses[key] = leaf_uses.get(key, 0) + 1
            elif key not in seen:
                seen[key] = item
                new.append(item.parents)
    return sorted(seen.values(), key=operator.attrgetter("order")), leaf_uses


def now() -> int:
    """An `order` between those of existing nodes and of nodes made later."""
    return next(node_order)


def nodes_since(start: int, edges: Sequence[Node]) -> list[Node]:
    """The nodes reachable from `edges` that were made after `start`, oldest first."""
    seen: dict[int, Node] = {}
    new = [edge for edge in edges if edge.order > start]
    while new:
        node = new.pop()
        if id(node) not in seen:
            seen[id(node)] = node
            new.extend(p for p in node.parents if isinstance(p, Node) and p.order > start)
    return sorted(seen.values(), key=operator.attrgetter("order"))


def _nodes_leading_to(wanted: Sequence[Any], nodes: Sequence[Node]) -> set[int]:
    """The ids of the wanted, and of the nodes from which one of them is reachable."""
    relevant = {id(want) for want in wanted}
    for node in nodes:  # parents come first
        if any(id(parent) in relevant for parent in node.parents):
            relevant.add(id(node))
    return relevant
