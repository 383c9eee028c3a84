"""Products with Jacobians and Hessians of functions of tensors (torch.autograd.functional)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from dtrain.autograd import Tensor, enable_grad
from dtrain.autograd.gradient import grad
from dtrain.functions.creation import ones_like, zeros, zeros_like
from dtrain.functions.joining import stack


def vjp(
    func: Callable[..., Any],
    inputs: Any,
    v: Any = None,
    create_graph: bool = False,
    strict: bool = False,
) -> tuple[Any, Any]:
    """The outputs of `func`, and v times its Jacobian (torch.autograd.functional.vjp).

    Parameters
    ----------
    func : a function of one tensor or several, which gives one or a tuple of several
    inputs : a tensor, or a tuple of several
    v : of the outputs' shapes; may be omitted for one output of one element
    create_graph : whether the results can be differentiated
    strict : raise RuntimeError where an output does not depend on an input; else zeros

    >>> import dtrain
    >>> vjp(lambda x: x**2, dtrain.tensor([1.0, 2.0]), dtrain.ones(2))
    (tensor([1., 4.]), tensor([2., 4.]))
    """
    with enable_grad():
        xs = _take("vjp", inputs, create_graph)
        outputs, outs = _call("vjp", func, xs)
        vs = _directions("vjp", v, outs)
        found = _gradients("vjp", outs, xs, vs, create_graph, strict)
    return _like(outputs, outs, create_graph), _like(inputs, found, create_graph)


def jvp(
    func: Callable[..., Any],
    inputs: Any,
    v: Any = None,
    create_graph: bool = False,
    strict: bool = False,
) -> tuple[Any, Any]:
    """The outputs of `func`, and its Jacobian times v (torch.autograd.functional.jvp).

    By two backward passes. Parameters as those of `vjp`; v has the inputs' shapes.

    >>> import dtrain
    >>> jvp(lambda x: x**2, dtrain.tensor([1.0, 2.0]), dtrain.ones(2))
    (tensor([1., 4.]), tensor([2., 4.]))
    """
    with enable_grad():
        xs = _take("jvp", inputs, create_graph)
        outputs, outs = _call("jvp", func, xs)
        vs = _directions("jvp", v, xs)
        zeros_out = [zeros_like(out).requires_grad_() for out in outs]
        back = _gradients("jvp", outs, xs, zeros_out, True, strict)
        found = _gradients("jvp", back, zeros_out, vs, create_graph, strict)
    return _like(outputs, outs, create_graph), _like(outputs, found, create_graph)


def jacobian(
    func: Callable[..., Any],
    inputs: Any,
    create_graph: bool = False,
    strict: bool = False,
    vectorize: bool = False,
    strategy: str = "reverse-mode",
) -> Any:
    """The Jacobian, of shape (*output.shape, *input.shape) (torch.autograd.functional.jacobian).

    A tuple for several inputs; for several outputs a tuple of these. By one backward pass for each
    element of the outputs, whatever `vectorize` and `strategy` say.

    >>> import dtrain
    >>> jacobian(lambda x: x**2, dtrain.tensor([1.0, 2.0]))
    tensor([[2., 0.],
            [0., 4.]])
    """
    if strategy not in ("reverse-mode", "forward-mode"):
        raise ValueError(
            f"jacobian: expected strategy 'reverse-mode' or 'forward-mode', got {strategy!r}"
        )
    with enable_grad():
        xs = _take("jacobian", inputs, create_graph)
        outputs, outs = _call("jacobian", func, xs)
        rows = [_jacobian_rows(out, xs, create_graph, strict) for out in outs]
    found = [_like(inputs, row, create_graph) for row in rows]
    return tuple(found) if isinstance(outputs, tuple) else found[0]


def _jacobian_rows(
    out: Tensor, xs: Sequence[Tensor], create_graph: bool, strict: bool
) -> list[Tensor]:
    flat = out.reshape(-1)
    if not flat.shape[0]:
        return [zeros((*out.shape, *x.shape), dtype=x.dtype, device=x.device) for x in xs]
    rows = [
        _gradients("jacobian", [flat[i]], xs, [ones_like(flat[i])], create_graph, strict, keep=True)
        for i in range(flat.shape[0])
    ]
    return [stack(list(column)).reshape(*out.shape, *column[0].shape) for column in zip(*rows)]


def hessian(
    func: Callable[..., Any],
    inputs: Any,
    create_graph: bool = False,
    strict: bool = False,
    vectorize: bool = False,
    outer_jacobian_strategy: str = "reverse-mode",
) -> Any:
    """The Hessian of a function with one output of one element (torch.autograd.functional.hessian).

    Of shape (*input.shape, *input.shape); for several inputs a tuple of tuples.

    >>> import dtrain
    >>> hessian(lambda x: (x**3).sum(), dtrain.tensor([1.0, 2.0]))
    tensor([[ 6.,  0.],
            [ 0., 12.]])
    """

    def slope(*xs: Tensor) -> Any:
        return jacobian(_with_one_element("hessian", func), xs, create_graph=True)

    given = inputs if isinstance(inputs, tuple) else (inputs,)
    found = jacobian(slope, given, create_graph, strict, strategy=outer_jacobian_strategy)
    return found if isinstance(inputs, tuple) else found[0][0]


def vhp(
    func: Callable[..., Any],
    inputs: Any,
    v: Any = None,
    create_graph: bool = False,
    strict: bool = False,
) -> tuple[Any, Any]:
    """The output of `func`, and v times its Hessian (torch.autograd.functional.vhp).

    >>> import dtrain
    >>> vhp(lambda x: (x**3).sum(), dtrain.tensor([1.0, 2.0]), dtrain.ones(2))
    (tensor(9.), tensor([ 6., 12.]))
    """
    with enable_grad():
        xs = _take("vhp", inputs, create_graph)
        output, outs = _call("vhp", _with_one_element("vhp", func), xs)
        vs = _directions("vhp", v, xs)
        slopes = _gradients("vhp", outs, xs, [ones_like(outs[0])], True, strict)
        found = _gradients("vhp", slopes, xs, vs, create_graph, strict)
    return _like(output, outs, create_graph), _like(inputs, found, create_graph)


def hvp(
    func: Callable[..., Any],
    inputs: Any,
    v: Any = None,
    create_graph: bool = False,
    strict: bool = False,
) -> tuple[Any, Any]:
    """The output of `func`, and its Hessian, which is symmetric, times v (functional.hvp)."""
    return vhp(func, inputs, v, create_graph, strict)


# --- inputs and outputs: one tensor, or a tuple ---


def _tensors(name: str, value: Any, what: str) -> list[Tensor]:
    given = list(value) if isinstance(value, tuple) else [value]
    for index, item in enumerate(given):
        if not isinstance(item, Tensor):
            raise TypeError(
                f"{name}: expected {what} to be a tensor or a tuple of tensors, got "
                f"{type(item).__name__} at {index}"
            )
    return given


def _take(name: str, inputs: Any, create_graph: bool) -> list[Tensor]:
    """The inputs as tensors that require a gradient, of the same values."""
    return [
        x.view_as(x) if create_graph and x.requires_grad else x.detach().requires_grad_()
        for x in _tensors(name, inputs, "inputs")
    ]


def _call(name: str, func: Callable[..., Any], xs: Sequence[Tensor]) -> tuple[Any, list[Tensor]]:
    outputs = func(*xs)
    return outputs, _tensors(name, outputs, "the result of func")


def _with_one_element(name: str, func: Callable[..., Any]) -> Callable[..., Any]:
    def run(*xs: Tensor) -> Any:
        out = func(*xs)
        if not isinstance(out, Tensor) or out.numel() != 1:
            given = tuple(out.shape) if isinstance(out, Tensor) else type(out).__name__
            raise RuntimeError(
                f"{name}: expected func to give a tensor of one element, got {given}"
            )
        return out.reshape(())

    return run


def _directions(name: str, v: Any, like: Sequence[Tensor]) -> list[Tensor]:
    """`v` as one tensor for each of `like`; 1 if it is None."""
    if v is None:
        if len(like) != 1 or like[0].numel() != 1:
            raise RuntimeError(f"{name}: v may be omitted only for one tensor of one element")
        return [ones_like(like[0])]
    given = _tensors(name, v, "v")
    have, want = [tuple(x.shape) for x in given], [tuple(x.shape) for x in like]
    if have != want:
        raise RuntimeError(f"{name}: expected v of the shapes {want}, got {have}")
    return given


def _gradients(
    name: str,
    outs: Sequence[Tensor],
    xs: Sequence[Tensor],
    vs: Sequence[Tensor],
    create_graph: bool,
    strict: bool,
    keep: bool = False,
) -> list[Tensor]:
    """The gradients of sum(v * out); zeros where nothing depends on an input."""
    reached = [(out, v) for out, v in zip(outs, vs) if out.requires_grad]
    found: Sequence[Tensor | None] = [None] * len(xs)
    if reached:
        found = grad(
            [out for out, _ in reached],
            xs,
            [v for _, v in reached],
            create_graph=create_graph,
            retain_graph=True if keep else None,
            allow_unused=True,
        )
    missing = [index for index, gradient in enumerate(found) if gradient is None]
    if strict and missing:
        raise RuntimeError(f"{name}: the outputs do not depend on inputs {missing} (strict=True)")
    return [zeros_like(x) if g is None else g for x, g in zip(xs, found)]


def _like(given: Any, tensors: Sequence[Tensor], create_graph: bool) -> Any:
    """The tensors as a tuple if `given` is one; out of the graph unless `create_graph`."""
    kept = tuple(tensors) if create_graph else tuple(x.detach() for x in tensors)
    return kept if isinstance(given, tuple) else kept[0]
