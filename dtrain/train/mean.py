"""`Mean` and `Perplexity`: means of numbers over the samples of all ranks."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from dtrain.autograd import Tensor
from dtrain.backend import Array
from dtrain.train.exact_sum import ExactSum
from dtrain.train.metric import Metric


@dataclass(frozen=True)
class WeightedSum:
    """The state of `Mean`: exact sums, and the terms that are still on a device."""

    total: ExactSum
    weight: ExactSum
    waiting: tuple[tuple[Array, float], ...] = ()

    def settled(self) -> WeightedSum:
        """With the terms on a device, which are read now, in the sums."""
        total = ExactSum.of(float(value) * weight for value, weight in self.waiting)
        return WeightedSum(self.total + total, self.weight)


class Mean(Metric[WeightedSum]):
    """The mean of numbers, weighted: a loss over batches of different sizes.

    On a GPU `update` does not wait for the device.

    Examples
    --------
    >>> mean = Mean()
    >>> mean.update(0.5, weight=32)
    >>> mean.update(0.2, weight=16)
    >>> round(mean.compute(), 6)
    0.4
    """

    def update(self, value: Tensor | float, weight: float = 1) -> None:
        """Count a number.

        Parameters
        ----------
        value : a number, or a tensor of one element, such as the mean loss of a batch
        weight : how often it counts, such as the number of samples of the batch; a batch of 0
            samples, whose mean is NaN, counts for nothing

        Raises
        ------
        ValueError
            If the tensor has another number of elements, or the weight is negative or NaN.
        """
        if isinstance(value, Tensor) and value.numel() != 1:
            raise ValueError(
                f"{type(self).__name__}: expected a number or a tensor of one element, got a "
                f"tensor of shape {tuple(value.shape)}; take its mean(), with its numel() as weight"
            )
        if not weight >= 0:
            raise ValueError(f"{type(self).__name__}: expected a weight >= 0, got {weight}")
        if weight == 0:
            return
        count = ExactSum((float(weight),))
        if isinstance(value, Tensor) and not isinstance(value.array, np.ndarray):
            waiting = ((value.array.reshape(()).copy(), weight),)
            self.add(WeightedSum(ExactSum(), count, waiting))
        else:
            number = value.array.item() if isinstance(value, Tensor) else float(value)
            self.add(WeightedSum(ExactSum((number * weight,)), count))

    def initial_state(self) -> WeightedSum:
        """No numbers."""
        return WeightedSum(ExactSum(), ExactSum())

    def merge(self, state: WeightedSum, other: WeightedSum) -> WeightedSum:
        """The sums of both."""
        waiting = state.waiting + other.waiting
        return WeightedSum(state.total + other.total, state.weight + other.weight, waiting)

    def to_host(self, state: WeightedSum) -> WeightedSum:
        """The sums, with what was on the device."""
        return state.settled()

    def pack(self, state: WeightedSum) -> dict[str, list[float]]:
        """The floats whose sums they are."""
        return {"total": list(state.total.parts), "weight": list(state.weight.parts)}

    def unpack(self, packed: dict[str, list[float]]) -> WeightedSum:
        """The sums of these floats."""
        return WeightedSum(ExactSum.of(packed["total"]), ExactSum.of(packed["weight"]))

    def figure(self, state: WeightedSum) -> float:
        """The mean; NaN without any number."""
        state = state.settled()
        weight = float(state.weight)
        return float(state.total) / weight if weight else math.nan


class Perplexity(Mean):
    """exp of a mean cross entropy, which `update` gets with its number of tokens as weight.

    >>> perplexity = Perplexity()
    >>> perplexity.update(math.log(8), weight=100)
    >>> round(perplexity.compute(), 6)
    8.0
    """

    def figure(self, state: WeightedSum) -> float:
        """The perplexity; infinity where it is no float any more."""
        mean = super().figure(state)
        return math.exp(mean) if mean < 709 else mean * math.inf
