"""Transforms of whole events: vectors, matrices, and their shapes."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from dtrain.autograd.tensor import Tensor
from dtrain.backend.size import Size
from dtrain.distributions import constraints
from dtrain.distributions.constraints import Constraint
from dtrain.distributions.transforms import Transform
from dtrain.nn.functional import logsigmoid, pad


class SoftmaxTransform(Transform):
    """y = softmax(x) over the last dimension; many x have one y."""

    bijective: bool = False
    domain: Constraint = constraints.real_vector
    codomain: Constraint = constraints.simplex

    def _call(self, x: Tensor) -> Tensor:
        return x.softmax(-1)

    def _inverse(self, y: Tensor) -> Tensor:
        return y.log()

    def _has_same_parameters(self, other: Any) -> bool:
        return True


class StickBreakingTransform(Transform):
    """From vectors of n numbers to n + 1 positive parts of 1: x[i] says how much of the rest
    y[i] takes."""

    domain: Constraint = constraints.real_vector
    codomain: Constraint = constraints.simplex

    def _call(self, x: Tensor) -> Tensor:
        taken = (x - self._offsets(x)).sigmoid()
        rest = pad((1 - taken).cumprod(-1), (1, 0), value=1)
        return pad(taken, (0, 1), value=1) * rest

    def _inverse(self, y: Tensor) -> Tensor:
        front = y[..., :-1]
        rest = 1 - front.cumsum(-1)
        return front.log() - rest.log() + self._offsets(front)

    def log_abs_det_jacobian(self, x: Tensor, y: Tensor) -> Tensor:
        """The sum of log(y[i] (1 - taken[i]))."""
        return (logsigmoid(self._offsets(x) - x) + y[..., :-1].log()).sum(-1)

    def _offsets(self, x: Tensor) -> Tensor:
        """log n, ..., log 1: 0 stands for equal parts."""
        return x.new_ones(x.shape[-1:]).cumsum(-1).flip(-1).log()

    def forward_shape(self, shape: Sequence[int]) -> Size:
        """One number more."""
        return Size((*shape[:-1], shape[-1] + 1))

    def inverse_shape(self, shape: Sequence[int]) -> Size:
        """One number less."""
        return Size((*shape[:-1], shape[-1] - 1))

    def _has_same_parameters(self, other: Any) -> bool:
        return True


class ReshapeTransform(Transform):
    """An event of one shape to the same numbers in another shape."""

    def __init__(self, in_shape: Sequence[int], out_shape: Sequence[int], cache_size: int = 0):
        super().__init__(cache_size)
        self.in_shape: Size
        self.out_shape: Size
        self.in_shape, self.out_shape = Size(in_shape), Size(out_shape)
        if math.prod(in_shape) != math.prod(out_shape):
            raise ValueError(
                f"ReshapeTransform: {tuple(in_shape)} and {tuple(out_shape)} have different "
                "numbers of elements"
            )
        self.domain: constraints.Constraint = constraints.independent(
            constraints.real, len(self.in_shape)
        )
        self.codomain: constraints.Constraint = constraints.independent(
            constraints.real, len(self.out_shape)
        )

    def _call(self, x: Tensor) -> Tensor:
        return x.reshape(self.forward_shape(x.shape))

    def _inverse(self, y: Tensor) -> Tensor:
        return y.reshape(self.inverse_shape(y.shape))

    def log_abs_det_jacobian(self, x: Tensor, y: Tensor) -> Tensor:
        """0"""
        return x.new_zeros(x.shape[: x.ndim - len(self.in_shape)])

    def forward_shape(self, shape: Sequence[int]) -> Size:
        """The shape of y for an x of this shape."""
        return self._replace(Size(shape), self.in_shape, self.out_shape)

    def inverse_shape(self, shape: Sequence[int]) -> Size:
        """The shape of x for a y of this shape."""
        return self._replace(Size(shape), self.out_shape, self.in_shape)

    def _replace(self, shape: Size, event: Size, other: Size) -> Size:
        cut = len(shape) - len(event)
        if cut < 0 or tuple(shape[cut:]) != tuple(event):
            raise ValueError(f"{self!r}: expected an event of shape {event}, got shape {shape}")
        return shape[:cut] + other


class LowerCholeskyTransform(Transform):
    """From any square matrices to lower triangular ones with a positive diagonal."""

    domain: Constraint = constraints.independent(constraints.real, 2)
    codomain: Constraint = constraints.lower_cholesky

    def _call(self, x: Tensor) -> Tensor:
        return x.tril(-1) + x.diagonal(dim1=-2, dim2=-1).exp().diag_embed()

    def _inverse(self, y: Tensor) -> Tensor:
        return y.tril(-1) + y.diagonal(dim1=-2, dim2=-1).log().diag_embed()

    def _has_same_parameters(self, other: Any) -> bool:
        return True
