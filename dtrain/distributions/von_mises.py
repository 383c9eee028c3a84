"""The von Mises distribution, the normal one's counterpart on a circle."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import ClassVar

from dtrain.autograd.grad_mode import no_grad
from dtrain.autograd.tensor import Tensor
from dtrain.distributions import constraints
from dtrain.distributions.constraints import Constraint
from dtrain.distributions.distribution import Distribution
from dtrain.distributions.draws import draw_uniform
from dtrain.distributions.parameters import Parameter, broadcast_all
from dtrain.functions.creation import zeros
from dtrain.functions.indexing import where
from dtrain.functions.special import i0e, i1e


class VonMises(Distribution):
    """Angles in [-pi, pi) around `loc`, the closer the greater the `concentration`."""

    arg_constraints: ClassVar[Mapping[str, Constraint]] = {
        "loc": constraints.real,
        "concentration": constraints.positive,
    }
    loc: Tensor
    concentration: Tensor

    def __init__(self, loc: Parameter, concentration: Parameter, validate_args: bool | None = None):
        self.loc, self.concentration = broadcast_all(loc, concentration)
        super().__init__(self.loc.shape, validate_args=validate_args)

    @property
    def support(self) -> Constraint:
        """All real numbers, of which those that differ by 2 pi are one angle."""
        return constraints.real

    @property
    def mean(self) -> Tensor:
        """`loc`, the mean direction."""
        return self.loc

    @property
    def mode(self) -> Tensor:
        """`loc`"""
        return self.loc

    @property
    def variance(self) -> Tensor:
        """The circular variance, 1 - i1(concentration) / i0(concentration)."""
        return 1 - i1e(self.concentration) / i0e(self.concentration)

    def sample(self, sample_shape: Sequence[int] = ()) -> Tensor:
        """Draw angles, by rejection (Best and Fisher, 1979)."""
        with no_grad():
            k = self.concentration.double().expand(self._extended_shape(sample_shape))
            tau = 1 + (1 + 4 * k.square()).sqrt()
            rho = (tau - (2 * tau).sqrt()) / (2 * k)
            r = where(k < 1e-5, 1 / k + k, (1 + rho.square()) / (2 * rho))
            angle = zeros(k.shape, dtype=k.dtype, device=k.device)
            missing = k == k
            while missing.any():
                u, v, side = (draw_uniform(k.shape, k) for _ in range(3))
                z = (math.pi * u).cos()
                f = (1 + r * z) / (r + z)
                c = k * (r - f)
                accepted = (c * (2 - c) > v) | ((c / v).log() + 1 - c >= 0)
                drawn = (side - 0.5).sign() * f.clamp(-1, 1).acos()
                angle = where(missing & accepted, drawn, angle)
                missing = missing & ~accepted
            moved = (angle + self.loc + math.pi) % (2 * math.pi) - math.pi
            return moved.to(self.loc.dtype)

    def log_prob(self, value: Tensor) -> Tensor:
        """The logarithm of the density at `value`."""
        self._check_value(value)
        k = self.concentration
        # cos(d) - 1 goes with the scaled Bessel function, exp(-k) i0(k)
        return k * ((value - self.loc).cos() - 1) - math.log(2 * math.pi) - i0e(k).log()
