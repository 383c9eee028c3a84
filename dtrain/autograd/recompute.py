"""`checkpoint`: activation checkpointing, which recomputes saved values in the backward pass.

The operations of the function are recorded, but their vjps and saved values are dropped. When the
backward pass reaches the first of these nodes, the function runs again, to the same bits, and each
node takes its vjps from the node at the same position in the second run.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from typing import Any

from dtrain.autograd import autocast_mode, grad_mode
from dtrain.autograd.graph import Node, nodes_since, now
from dtrain.autograd.tensor import Tensor
from dtrain.backend import default_generator
from dtrain.backend.capture import ReplayedNumber, captures, current_capture
from dtrain.backend.nested import find_nested
from dtrain.backend.tracing import refuse_recording


class _PerThread(threading.local):
    def __init__(self) -> None:  # each rank of `dtrain debug` is a thread
        #: what makes the contexts that are entered again around a second run, outermost first
        self.contexts: list[Callable[[], AbstractContextManager[Any]]] = []


_per_thread = _PerThread()


@contextmanager
def repeated(make_context: Callable[[], AbstractContextManager[Any]]) -> Iterator[None]:
    """Enter a context, now and whenever something runs again that `checkpoint` ran in it."""
    with make_context():
        _per_thread.contexts.append(make_context)
        try:
            yield
        finally:
            _per_thread.contexts.pop()


def checkpoint(
    function: Callable[..., Any],
    *args: Any,
    use_reentrant: bool | None = None,
    preserve_rng_state: bool = True,
    **kwargs: Any,
) -> Any:
    """`function(*args, **kwargs)`, which runs again in the backward pass to save memory.

    Mirrors torch.utils.checkpoint.checkpoint. Side effects of the function, such as updates of
    running statistics, happen twice.

    Parameters
    ----------
    use_reentrant : accepted as in PyTorch, without effect
    preserve_rng_state : draw the same random numbers in the second run

    Raises
    ------
    RuntimeError
        In the backward pass, if the second run recorded other operations than the first.

    >>> import dtrain
    >>> x = dtrain.tensor([1.0, 2.0], requires_grad=True)
    >>> checkpoint(lambda x: (x.exp() * x).sum(), x).backward()
    >>> x.grad
    tensor([ 5.4366, 22.1672])
    """
    if not grad_mode.is_grad_enabled():
        return function(*args, **kwargs)
    refuse_recording("checkpoint runs its function again in the backward pass")
    state = default_generator().get_state() if preserve_rng_state else None
    mode, contexts = autocast_mode.get_mode(), tuple(_per_thread.contexts)

    def run_again() -> Any:
        with ExitStack() as entered, autocast_mode.restored(mode):
            for make_context in contexts:
                entered.enter_context(repeated(make_context))
            return function(*args, **kwargs)

    start = now()
    capture = current_capture() if captures else None
    drawn = 0 if capture is None else len(capture.keys)
    with autocast_mode.restored(mode):
        outputs = function(*args, **kwargs)
    keys = None if capture is None else capture.keys[drawn:]
    nodes = nodes_since(start, _edges_of(outputs))
    region = _Region(run_again, state, keys, nodes)
    for index, node in enumerate(nodes):
        if node.call is not None:
            node.call = _Call(region, index)
        node.vjps, node.saved = _VJPs(region, index), ()
    return outputs


def _edges_of(outputs: Any) -> list[Node]:
    """The nodes of the Tensors in an output, also within dicts, lists and tuples."""
    tensors = find_nested((outputs,), Tensor)
    return [tensor.grad_fn for tensor in tensors if tensor.grad_fn is not None]


class _Region:
    """The function of one call of `checkpoint`, and the nodes of its second run."""

    def __init__(
        self, run: Callable[[], Any], state: Any, keys: Sequence[ReplayedNumber] | None,
        nodes: Sequence[Node],
    ):  # fmt: skip
        self._run, self._state, self._keys = run, state, keys
        self._made = [(node.name, node.shape) for node in nodes]
        self._again: dict[int, Node] = {}

    def counterpart(self, index: int) -> Node:
        """Return the node at `index` of the second run, once; the reference to it is dropped."""
        if index not in self._again:
            self._again = dict(enumerate(self._run_again()))
        return self._again.pop(index)

    def _repeated_keys(self) -> AbstractContextManager[Any]:
        """In a CUDA graph the second run reads the random keys of the first."""
        capture = current_capture() if captures else None
        if capture is None or self._state is None or self._keys is None:
            return nullcontext()
        return capture.repeating(self._keys)

    def _run_again(self) -> list[Node]:
        """Run the function again; raise if it recorded other operations. Returns their nodes."""
        generator = default_generator()
        outside = generator.get_state()
        start = now()
        try:
            if self._state is not None:
                generator.set_state(self._state)
            with grad_mode.enable_grad(), self._repeated_keys():
                nodes = nodes_since(start, _edges_of(self._run()))
        finally:
            if self._state is not None:
                generator.set_state(outside)
        for first, second in zip(self._made, [(node.name, node.shape) for node in nodes]):
            if first != second:
                raise _difference(f"{second[0]} of shape {second[1]} where there was "
                                  f"{first[0]} of shape {first[1]}")  # fmt: skip
        if len(nodes) != len(self._made):
            raise _difference(f"{len(nodes)} operations where there were {len(self._made)}")
        return nodes


def _difference(what: str) -> RuntimeError:
    return RuntimeError(
        f"checkpoint: the second run of the function, in the backward pass, recorded {what}; "
        "it must depend on its arguments and the default generator alone"
    )


class _VJPs:
    """The vjps of a node, recomputed when they are read."""

    def __init__(self, region: _Region, index: int):
        self._region, self._index = region, index

    def __iter__(self) -> Iterator[Callable[..., Any]]:
        return iter(self._region.counterpart(self._index).vjps or ())


class _Call(_VJPs):
    """The primitive of a node and its arguments, recomputed when they are read."""

    def __iter__(self) -> Iterator[Any]:
        return iter(self._region.counterpart(self._index).call or ())
