"""Convert parameters to one vector, and a vector to parameters."""

from __future__ import annotations

from collections.abc import Iterable

from dtrain.autograd import Tensor
from dtrain.functions.joining import cat


def parameters_to_vector(parameters: Iterable[Tensor]) -> Tensor:
    """Concatenate all parameters, flattened, to one vector (torch.nn.utils.parameters_to_vector).

    >>> import dtrain
    >>> parameters_to_vector([dtrain.ones(2, 1), dtrain.zeros(1)])
    tensor([1., 1., 0.])
    """
    return cat([param.reshape(-1) for param in parameters])


def vector_to_parameters(vec: Tensor, parameters: Iterable[Tensor]) -> None:
    """Set the parameters' data to consecutive parts of a vector
    (torch.nn.utils.vector_to_parameters).
    """
    if not isinstance(vec, Tensor):
        raise TypeError(f"expected a dtrain.Tensor, got {type(vec).__name__}")
    start = 0
    for param in parameters:
        param.data = vec[start : start + param.numel()].reshape(param.shape).detach()
        start += param.numel()
