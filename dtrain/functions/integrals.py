"""PyTorch's signatures of integrals and slopes of sampled functions."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from dtrain.autograd.tensor import Tensor
from dtrain.backend.dtypes import is_floating
from dtrain.functions.arithmetic import add, div, mul, sub
from dtrain.functions.creation import tensor
from dtrain.functions.half_precision import in_float32
from dtrain.functions.joining import cat
from dtrain.functions.operands import normalize_dim, to, to_floating
from dtrain.functions.reductions import sum
from dtrain.functions.scans import cumsum
from dtrain.functions.shapes import narrow, reshape


def _ends(x: Tensor, dim: int) -> tuple[Tensor, Tensor]:
    """All but the last and all but the first along `dim`."""
    count = max(x.shape[dim] - 1, 0)
    return narrow(x, dim, 0, count), narrow(x, dim, x.shape[dim] - count, count)


def _strips(name: str, y: Tensor, x: Tensor | None, dx: float | None, dim: int) -> Tensor:
    """Twice the areas between neighbours."""
    if x is not None and dx is not None:
        raise RuntimeError(f"{name}: expected x or dx, got both")
    if y.dtype.kind == "b" or (x is not None and x.dtype.kind == "b"):
        raise RuntimeError(f"{name}: expected numbers, got bools")
    if not y.ndim:
        raise IndexError(f"{name}: expected at least one dimension, got a 0-d tensor")
    dim = normalize_dim(dim, y.ndim)
    first, second = _ends(y, dim)
    heights = add(first, second)
    if x is None:
        return mul(heights, 1 if dx is None else dx)
    return mul(heights, _steps(name, y, x, dim))


def _steps(name: str, y: Tensor, x: Tensor, dim: int) -> Tensor:
    """The distances between neighbouring sample points x, shaped to broadcast with y."""
    if x.ndim == 1:
        if x.shape[0] != y.shape[dim]:
            raise RuntimeError(
                f"{name}: there are {y.shape[dim]} values along dim {dim} but {x.shape[0]} points"
            )
        x = reshape(x, -1, *(1,) * (y.ndim - dim - 1))
    elif x.ndim < y.ndim:
        x = reshape(x, *(1,) * (y.ndim - x.ndim), *x.shape)
    first, second = _ends(x, dim - y.ndim)
    return sub(second, first)


@in_float32
def trapezoid(
    y: Tensor, x: Tensor | None = None, *, dx: float | None = None, dim: int = -1
) -> Tensor:
    """The integral along `dim` by the trapezoidal rule (torch.trapezoid)."""
    return div(sum(_strips("trapezoid", y, x, dx, dim), _trailing(y, dim)), 2)


@in_float32
def cumulative_trapezoid(
    y: Tensor, x: Tensor | None = None, *, dx: float | None = None, dim: int = -1
) -> Tensor:
    """The running integral by the trapezoidal rule (torch.cumulative_trapezoid)."""
    return div(cumsum(_strips("cumulative_trapezoid", y, x, dx, dim), _trailing(y, dim)), 2)


def _trailing(y: Tensor, dim: int) -> int:
    """`dim` counted from the back: x may have more leading dimensions than y."""
    return normalize_dim(dim, y.ndim) - y.ndim


@in_float32
def gradient(
    input: Tensor, *, spacing: Any = 1, dim: Any = None, edge_order: int = 1
) -> tuple[Tensor, ...]:
    """The slopes along each dimension, or each of `dim`, by central differences (torch.gradient).

    Parameters
    ----------
    spacing : distance between neighbours, one for each dimension, or the coordinates along each
    edge_order : 1 or 2, the order of accuracy at the first and the last
    """
    dims = tuple(range(input.ndim)) if dim is None else dim
    dims = (dims,) if isinstance(dims, int) else tuple(normalize_dim(d, input.ndim) for d in dims)
    if len(set(dims)) < len(dims):
        raise RuntimeError(f"gradient: expected different dimensions, got {dim}")
    if edge_order not in (1, 2):
        raise RuntimeError(f"gradient: expected edge_order 1 or 2, got {edge_order}")
    spacing = 1 if spacing is None else spacing
    spacings = list(spacing) if isinstance(spacing, Sequence) else [spacing] * len(dims)
    if len(spacings) != len(dims):
        raise RuntimeError(f"gradient: {len(dims)} dimensions, but {len(spacings)} spacings")
    if input.ndim and any(input.shape[d] <= edge_order for d in dims):
        raise RuntimeError(
            f"gradient: expected at least edge_order + 1 = {edge_order + 1} elements along each "
            f"dimension, got shape {input.shape}"
        )
    input = input if is_floating(input.dtype) else to_floating(input)
    return tuple(
        _slope(input, normalize_dim(d, input.ndim), s, edge_order) for d, s in zip(dims, spacings)
    )


def _slope(x: Tensor, dim: int, spacing: Any, edge_order: int) -> Tensor:
    n = x.shape[dim]
    first, second = _ends(x, dim)
    if isinstance(spacing, Tensor) and spacing.ndim:
        if spacing.shape != (n,):
            raise RuntimeError(
                f"gradient: expected {n} coordinates along dim {dim}, got {spacing.shape}"
            )
        before, after = _ends(to(spacing, x.dtype), 0)
        steps = reshape(sub(after, before), -1, *(1,) * (x.ndim - dim - 1))
    else:
        number = spacing.item() if isinstance(spacing, Tensor) else spacing
        shape = (n - 1, *(1,) * (x.ndim - dim - 1))
        steps = tensor(number, dtype=x.dtype, device=x.device).expand(shape)
    slopes, axis = div(sub(second, first), steps), dim - x.ndim
    left, right = _ends(slopes, dim)
    wide = -(x.ndim - dim)  # the dimension of steps
    near, far = _ends(steps, wide) if n > 2 else (steps, steps)
    whole = add(near, far)
    if isinstance(spacing, Tensor) and spacing.ndim:
        inner = div(add(mul(left, far), mul(right, near)), whole)
    else:
        inner = div(sub(narrow(x, dim, 2, max(n - 2, 0)), narrow(x, dim, 0, max(n - 2, 0))), whole)
    start, end = narrow(slopes, axis, 0, 1), narrow(slopes, axis, n - 2, 1)
    if edge_order == 2:
        bend = div(sub(right, left), whole)
        start = sub(start, mul(narrow(bend, axis, 0, 1), narrow(steps, wide, 0, 1)))
        end = add(end, mul(narrow(bend, axis, n - 3, 1), narrow(steps, wide, n - 2, 1)))
    return cat([start, inner, end] if n > 2 else [start, end], dim)
