"""`make_graphed_callables`: models and functions whose calls are CUDA graphs."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol, runtime_checkable

from dtrain.autograd.gradient import grad
from dtrain.autograd.tensor import Tensor
from dtrain.backend import default_generator
from dtrain.backend.nested import find_nested
from dtrain.cuda.graphed_call import GraphedCall, GraphMemory
from dtrain.cuda.memory import PrivatePool


@runtime_checkable
class GraphableModule(Protocol):
    """The attributes of a model (nn.Module) that `make_graphed_callables` reads."""

    training: bool

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        """Its output."""

    def parameters(self) -> Any:
        """Its parameters."""

    def buffers(self) -> Any:
        """Its buffers."""

    def named_modules(self) -> Any:
        """Its parts, by name."""


def make_graphed_callables(
    callables: Any,
    sample_args: Any,
    num_warmup_iters: int = 3,
    allow_unused_input: bool = False,
    pool: PrivatePool | None = None,
) -> Any:
    """Models or functions whose forward and backward pass are CUDA graphs
    (torch.cuda.make_graphed_callables).

    A model is changed in place: in the training mode that it has now it runs as graphs, in the
    other as before. Its calls have tensors like the sample's; after each forward pass comes its
    backward pass, or another forward pass. Of several callables the backward passes may follow once
    all of them have run, in the order in which they are given.

    Parameters
    ----------
    callables : a Module or function, or a tuple of them
    sample_args : the tensors of a call, on the GPU; or a tuple of such tuples
    num_warmup_iters : how often it runs before the capture, which compiles its kernels; running
        statistics count these calls
    allow_unused_input : whether an input or parameter may have no gradient
    pool : the memory of the graphs, see `graph_pool_handle`; if None, a new one

    Raises
    ------
    RuntimeError
        If a model has hooks, which would run at the capture alone; an input or parameter has no
        gradient; or the function waits for the GPU, as item() does.
    """
    if not isinstance(callables, tuple):
        return _graphed(
            callables, sample_args, num_warmup_iters, allow_unused_input, GraphMemory(pool)
        )
    if len(callables) != len(sample_args):
        raise ValueError(
            f"make_graphed_callables: expected sample_args for each of {len(callables)} callables, "
            f"got {len(sample_args)}"
        )
    return tuple(
        _graphed(function, args, num_warmup_iters, allow_unused_input, GraphMemory())
        for function, args in zip(callables, sample_args)
    )


def _graphed(
    function: Any, args: tuple[Any, ...], warmups: int, allow_unused: bool, memory: GraphMemory
) -> Any:
    is_module = isinstance(function, GraphableModule)
    if is_module:
        require_no_hooks(function)
    params = [p for p in function.parameters() if p.requires_grad] if is_module else []
    run: Callable[..., Any] = function.forward if is_module else function
    _warm_up(run, args, params, warmups, allow_unused)
    call = GraphedCall(run, args, {}, params, memory)
    if not is_module:
        return call
    training, addresses = function.training, _addresses(function)

    def forward(*args: Any, **kwargs: Any) -> Any:
        nonlocal call, addresses
        if function.training != training:
            return run(*args, **kwargs)
        if addresses != _addresses(function):  # an optimizer or DataParallel has laid out buckets
            call = GraphedCall(run, args, kwargs, params, memory)
            addresses = _addresses(function)
        return call(*args, **kwargs)

    module: Any = function
    module.forward = forward  # of this object, before its class's
    return function


def _addresses(module: GraphableModule) -> list[int]:
    """Where the model's tensors are."""
    return [t.array.data.ptr for t in (*module.parameters(), *module.buffers())]


def require_no_hooks(module: GraphableModule) -> None:
    """Refuse a model with hooks, which a graph would not call."""
    for name, part in module.named_modules():
        if part._hooks is not None and part._hooks.runs_in_calls:
            raise RuntimeError(
                f"CUDA graph: {name or type(module).__name__} has hooks, which would run when the "
                "graph is captured and not at its replays: remove them"
            )


def _warm_up(
    run: Callable[..., Any], args: tuple[Any, ...], params: list[Tensor], count: int, unused: bool
) -> None:
    """Run forward and backward pass, which leave gradients and random numbers as they were."""
    state = default_generator().get_state()
    for _ in range(count):
        outputs = [t for t in find_nested((run(*args),), Tensor) if t.requires_grad]
        wanted = [t for t in (*find_nested(args, Tensor), *params) if t.requires_grad]
        if outputs and wanted:
            grad(outputs, wanted, [out.detach() for out in outputs], allow_unused=unused)
    default_generator().set_state(state)
