"""`gradcheck`, `gradgradcheck`: the backward pass against central differences."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from dtrain.autograd import grad_mode
from dtrain.autograd.gradient import grad
from dtrain.autograd.tensor import Tensor, wrap
from dtrain.backend import Array, array_module, to_host
from dtrain.errors import GradcheckError


def gradcheck(
    func: Callable[..., Any],
    inputs: Tensor | Sequence[Any],
    eps: float = 1e-6,
    atol: float = 1e-5,
    rtol: float = 1e-3,
    raise_exception: bool = True,
) -> bool:
    """Whether the gradients of `func` are those of central differences (torch.autograd.gradcheck).

    Parameters
    ----------
    func : takes the inputs, gives a Tensor or several
    inputs : those that require gradients should be float64
    eps : how far an element is moved each way

    Raises
    ------
    GradcheckError
        Unless `raise_exception` is False; names the input, the output and both Jacobians.

    >>> import dtrain
    >>> gradcheck(dtrain.exp, dtrain.randn(3, dtype=dtrain.float64, requires_grad=True))
    True
    """
    given = (inputs,) if isinstance(inputs, Tensor) else tuple(inputs)
    wanted = [i for i, x in enumerate(given) if isinstance(x, Tensor) and x.requires_grad]
    if not wanted:
        raise ValueError("gradcheck: expected an input that requires gradient, got none")
    for number, out in enumerate(_outputs(func(*given))):
        for index in wanted:
            analytic = _analytic(out, given[index])
            numeric = _numeric(func, given, index, number, eps)
            if not np.allclose(analytic, numeric, rtol, atol, equal_nan=True):
                if not raise_exception:
                    return False
                raise GradcheckError(
                    f"gradcheck: Jacobian mismatch for output {number} with respect to input "
                    f"{index}\nnumerical: {numeric}\nanalytical: {analytic}"
                )
    return True


def gradgradcheck(
    func: Callable[..., Any],
    inputs: Tensor | Sequence[Any],
    grad_outputs: Tensor | Sequence[Tensor] | None = None,
    eps: float = 1e-6,
    atol: float = 1e-5,
    rtol: float = 1e-3,
    gen_non_contig_grad_outputs: bool = False,
    raise_exception: bool = True,
) -> bool:
    """Whether the second derivatives of `func` are right (torch.autograd.gradgradcheck).

    The gradients by `inputs` are taken as a function of the inputs and of the outputs' gradients,
    and given to :func:`gradcheck`.

    Parameters
    ----------
    grad_outputs : float64 gradients of the outputs; some fixed numbers if left out
    gen_non_contig_grad_outputs : let those numbers lie in memory with gaps between them

    >>> import dtrain
    >>> gradgradcheck(dtrain.exp, dtrain.randn(3, dtype=dtrain.float64, requires_grad=True))
    True
    """
    given = (inputs,) if isinstance(inputs, Tensor) else tuple(inputs)
    if grad_outputs is None:
        outs = [out for out in _outputs(func(*given)) if out.requires_grad]
        seeds = [_numbers_like(out, gen_non_contig_grad_outputs) for out in outs]
    else:
        seeds = [grad_outputs] if isinstance(grad_outputs, Tensor) else list(grad_outputs)
    wanted = [i for i, x in enumerate(given) if isinstance(x, Tensor) and x.requires_grad]

    @grad_mode.enable_grad
    def gradients(*both: Any) -> tuple[Tensor, ...]:
        again = both[: len(given)]
        outs = [out for out in _outputs(func(*again)) if out.requires_grad]
        found = grad(
            outs,
            [again[i] for i in wanted],
            both[len(given) :],
            create_graph=True,
            allow_unused=True,
        )
        return tuple(x for x in found if x is not None)

    return gradcheck(gradients, (*given, *seeds), eps, atol, rtol, raise_exception)


def _numbers_like(out: Tensor, with_gaps: bool) -> Tensor:
    """Numbers between -1 and 1 in the shape of `out`, that require gradients."""
    xp = array_module(out.array)
    numbers = xp.sin(xp.arange(1, out.numel() + 1, dtype=out.dtype)).reshape(out.shape)
    if with_gaps:
        numbers = xp.repeat(numbers[..., None], 2, -1)[..., 0]
    return wrap(numbers).requires_grad_()


def _outputs(result: Any) -> list[Tensor]:
    """The outputs that have a gradient."""
    several = result if isinstance(result, (tuple, list)) else (result,)
    return [out for out in several if isinstance(out, Tensor) and out.is_floating_point()]


def _analytic(out: Tensor, x: Tensor) -> np.ndarray:
    """The Jacobian (elements of x, elements of out) by backward passes."""
    xp = array_module(out.array)
    jacobian = np.zeros((x.numel(), out.numel()))
    if not out.requires_grad:
        return jacobian
    for place in range(out.numel()):
        seed = xp.zeros(out.numel(), out.dtype)
        seed[place] = 1
        (column,) = grad(
            out, x, wrap(seed.reshape(out.shape)), retain_graph=True, allow_unused=True
        )
        if column is not None:
            jacobian[:, place] = to_host(column.array).reshape(-1)
    return jacobian


def _numeric(
    func: Callable[..., Any], inputs: Sequence[Any], index: int, number: int, eps: float
) -> np.ndarray:
    """The Jacobian by moving one element of the input after another."""
    array = inputs[index].array
    original = array.copy()

    def moved(place: int, by: float) -> Array:
        flat = original.copy().reshape(-1)
        flat[place] += by
        array[...] = flat.reshape(original.shape)
        return to_host(_outputs(func(*inputs))[number].array).reshape(-1)

    try:
        with grad_mode.no_grad():
            rows = [
                (moved(place, eps) - moved(place, -eps)) / (2 * eps)
                for place in range(original.size)
            ]
    finally:
        array[...] = original
    return np.array(rows).reshape(original.size, -1)
