"""PyTorch's signatures of covariances and correlations of variables."""

from __future__ import annotations

from dtrain.autograd.tensor import Tensor
from dtrain.backend.dtypes import category, is_floating
from dtrain.functions.arithmetic import div, mul, sqrt, sub
from dtrain.functions.complex_numbers import conj
from dtrain.functions.diagonals import diagonal
from dtrain.functions.half_precision import in_float32
from dtrain.functions.operands import to_floating
from dtrain.functions.products import matmul
from dtrain.functions.reductions import sum
from dtrain.functions.shapes import reshape, squeeze, transpose


@in_float32
def cov(
    input: Tensor,
    *,
    correction: int = 1,
    fweights: Tensor | None = None,
    aweights: Tensor | None = None,
) -> Tensor:
    """The covariances of variables, the rows, over observations, the columns (torch.cov).

    Parameters
    ----------
    correction : the divisor is the number, or the weight, of the observations less this
    fweights : how often each observation was made, integers
    aweights : how much each observation counts
    """
    if input.ndim > 2:
        raise RuntimeError(f"cov: expected at most two dimensions, got shape {input.shape}")
    if input.dtype.kind == "b":
        raise RuntimeError("cov: expected numbers, got a tensor of dtype bool")
    rows = to_floating(input if input.ndim == 2 else reshape(input, 1, -1))
    weight = _weight(rows.shape[1], fweights, aweights)
    if weight is None:
        total: Tensor | float = rows.shape[1]
        weighted = rows
    else:
        total, weighted = sum(weight), mul(rows, weight)
    centered = sub(rows, div(sum(weighted, 1, True), total))
    divisor = total - correction
    if weight is not None and aweights is not None:
        divisor = total - div(mul(sum(mul(weight, aweights)), correction), total)
    divisor = divisor.clamp(min=0) if isinstance(divisor, Tensor) else max(divisor, 0)
    other = centered if weight is None else mul(centered, weight)
    return squeeze(div(matmul(centered, conj(transpose(other, 0, 1))), divisor))


def _weight(count: int, fweights: Tensor | None, aweights: Tensor | None) -> Tensor | None:
    weights = {"fweights": fweights, "aweights": aweights}
    given = {name: weight for name, weight in weights.items() if weight is not None}
    for name, weight in given.items():
        if weight.ndim > 1 or weight.numel() != count:
            raise RuntimeError(f"cov: expected {count} {name}, got a tensor of {weight.shape}")
        if bool((weight.array < 0).any()):
            raise RuntimeError(f"cov: expected {name} of at least 0")
    if fweights is not None and category(fweights.dtype) != 1:
        raise RuntimeError(f"cov: expected integers as fweights, got {fweights.dtype}")
    if aweights is not None and not is_floating(aweights.dtype):
        raise RuntimeError(f"cov: expected a floating dtype for aweights, got {aweights.dtype}")
    values = list(given.values())
    return None if not values else values[0] if len(values) == 1 else mul(values[0], values[1])


@in_float32
def corrcoef(input: Tensor) -> Tensor:
    """The correlations of variables, the rows, over observations (torch.corrcoef)."""
    if input.ndim > 2:
        raise RuntimeError(f"corrcoef: expected at most two dimensions, got shape {input.shape}")
    covariance = cov(input)
    if not covariance.ndim:
        return div(covariance, covariance)
    deviation = sqrt(diagonal(covariance))
    return div(div(covariance, reshape(deviation, -1, 1)), deviation)
