"""`gradcheck`, `gradgradcheck`: compare the backward pass with central differences."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from dtrain.autograd import grad_mode
from dtrain.autograd.gradient import grad
from dtrain.autograd.tensor import Tensor, wrap
from dtrain.backend import Array, array_module, to_host
from dtrain.backend.dtypes import is_inexact, real_dtype
from dtrain.errors import GradcheckError


def gradcheck(
    func: Callable[..., Any],
    inputs: Tensor | Sequence[Any],
    eps: float = 1e-6,
    atol: float = 1e-5,
    rtol: float = 1e-3,
    raise_exception: bool = True,
) -> bool:
    """Whether the gradients of `func` agree with central differences (torch.autograd.gradcheck).

    Parameters
    ----------
    func : takes the inputs, returns a Tensor or a tuple of Tensors
    inputs : the Tensors that require grad are differentiated; they should be float64, or
        complex128, of which real and imaginary parts are changed one by one
    eps : the step of the central differences

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
        raise ValueError("gradcheck: expected an input that requires grad, got none")
    for number, out in enumerate(_outputs(func(*given))):
        for index in wanted:
            analytic = _analytic_jacobian(out, given[index])
            numeric = _numeric_jacobian(func, given, index, number, eps)
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

    Runs :func:`gradcheck` on the gradients as a function of the inputs and `grad_outputs`.

    Parameters
    ----------
    grad_outputs : float64 or complex128 gradients of the outputs; fixed numbers if None
    gen_non_contig_grad_outputs : make these numbers a non-contiguous Tensor

    >>> import dtrain
    >>> gradgradcheck(dtrain.exp, dtrain.randn(3, dtype=dtrain.float64, requires_grad=True))
    True
    """
    given = (inputs,) if isinstance(inputs, Tensor) else tuple(inputs)
    if grad_outputs is None:
        outs = [out for out in _outputs(func(*given)) if out.requires_grad]
        seeds = [_fixed_grad_outputs(out, gen_non_contig_grad_outputs) for out in outs]
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


def _fixed_grad_outputs(out: Tensor, non_contiguous: bool) -> Tensor:
    """Numbers between -1 and 1 in the shape of `out`, which require grad."""
    xp = array_module(out.array)
    count = out.numel() * (2 if out.is_complex() else 1)
    numbers = xp.sin(xp.arange(1, count + 1, dtype=real_dtype(out.dtype)))
    numbers = numbers.view(out.dtype).reshape(out.shape)
    if non_contiguous:
        numbers = xp.repeat(numbers[..., None], 2, -1)[..., 0]
    return wrap(numbers).requires_grad_()


def _outputs(result: Any) -> list[Tensor]:
    """The floating-point and complex Tensors among the outputs."""
    several = result if isinstance(result, (tuple, list)) else (result,)
    return [out for out in several if isinstance(out, Tensor) and is_inexact(out.dtype)]


def _parts(array: Array) -> np.ndarray:
    """The elements on the host, flat; of complex ones real and imaginary parts in turn."""
    flat = np.ascontiguousarray(to_host(array)).reshape(-1)
    return flat.view(real_dtype(flat.dtype))


def _analytic_jacobian(out: Tensor, x: Tensor) -> np.ndarray:
    """The Jacobian, (parts of x, parts of out): a backward pass for each part of out."""
    xp = array_module(out.array)
    jacobian = np.zeros((_parts(x.array).size, _parts(out.array).size))
    if not out.requires_grad:
        return jacobian
    for position in range(jacobian.shape[1]):
        seed = xp.zeros(jacobian.shape[1], real_dtype(out.dtype))
        seed[position] = 1
        seed = seed.view(out.dtype)
        (column,) = grad(
            out, x, wrap(seed.reshape(out.shape)), retain_graph=True, allow_unused=True
        )
        if column is not None:
            jacobian[:, position] = _parts(column.array)
    return jacobian


def _numeric_jacobian(
    func: Callable[..., Any], inputs: Sequence[Any], index: int, number: int, eps: float
) -> np.ndarray:
    """The Jacobian, (parts of x, parts of out), by central differences."""
    array = inputs[index].array
    original = array.copy()
    size = _parts(original).size

    def output_after(position: int, change: float) -> Array:
        """The output with `change` added to one part of the input."""
        flat = original.copy().reshape(-1)
        flat.view(real_dtype(flat.dtype))[position] += change
        array[...] = flat.reshape(original.shape)
        return _parts(_outputs(func(*inputs))[number].array)

    try:
        with grad_mode.no_grad():
            rows = [
                (output_after(position, eps) - output_after(position, -eps)) / (2 * eps)
                for position in range(size)
            ]
    finally:
        array[...] = original
    return np.array(rows).reshape(size, -1)
