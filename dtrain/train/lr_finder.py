"""`find_lr`: the losses of a short run whose learning rate rises, and the rate they suggest."""

from __future__ import annotations

import copy
import itertools
import math
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from dtrain.autograd import Tensor
from dtrain.backend import default_generator
from dtrain.data import DataLoader
from dtrain.distributed import world
from dtrain.optim import Optimizer
from dtrain.parallel import DataParallel
from dtrain.train.mean import Mean
from dtrain.train.plots import draw_lr_search, smooth_values

_WORSE = 4.0  # a loss of so many times the lowest ends the search


@dataclass(frozen=True)
class LRSearch:
    """The learning rates that were tried, the smoothed losses, and the rate that they suggest."""

    rates: np.ndarray
    losses: np.ndarray

    @property
    def suggestion(self) -> float:
        """The rate at which the loss falls most steeply over the logarithm of the rate."""
        slopes = np.gradient(self.losses, np.log(self.rates))
        return float(self.rates[int(slopes.argmin())])

    def plot(self, path: str | Path) -> None:
        """Draw the losses to a .png, .svg, .pdf or .html file, by rank 0."""
        if world.rank() == 0:
            draw_lr_search(self.rates, self.losses, self.suggestion, path)


def find_lr(
    model: DataParallel,
    optimizer: Optimizer,
    loss: Callable[[Any, Any], Tensor],
    loader: DataLoader,
    low: float = 1e-6,
    high: float = 1.0,
    steps: int = 100,
) -> LRSearch:
    """Train for some steps while the learning rate rises from `low` to `high` (Smith 2017).

    It ends early where the loss is not finite or four times the lowest one. Model, optimizer,
    loader and random numbers are then as before. Every rank calls it.

    Parameters
    ----------
    steps : how many steps, over epochs of the loader

    Raises
    ------
    ValueError
        If the range is none, or the first losses are not finite.
    """
    if not 0 < low < high or steps < 4:
        raise ValueError(
            f"find_lr: expected 0 < low < high and 4 steps or more, got low={low}, high={high}, "
            f"steps={steps}"
        )
    objects: tuple[Any, ...] = (model.module, optimizer, loader)
    before = [copy.deepcopy(item.state_dict()) for item in objects]
    random = default_generator().get_state()
    rates = np.geomspace(low, high, steps)
    losses: list[float] = []
    try:
        for rate, step in zip(rates, _iterate_epochs(loader)):
            for group in optimizer.param_groups:
                group["lr"] = float(rate)
            mean = Mean()
            for x, y in step:
                value = loss(model(x), y)
                value.backward()
                mean.update(value.detach(), len(y))
            optimizer.step()
            optimizer.zero_grad()
            losses.append(mean.compute())
            lowest = min(losses)
            if not math.isfinite(losses[-1]) or losses[-1] - lowest > (_WORSE - 1) * abs(lowest):
                break
    finally:
        for item, state in zip(objects, before):
            item.load_state_dict(state)
        default_generator().set_state(random)
    finite = [value for value in losses if math.isfinite(value)]
    if len(finite) < 3:
        raise ValueError(f"find_lr: the losses are {losses} from low={low} on: give a lower one")
    return LRSearch(rates[: len(finite)], smooth_values(np.array(finite), 0.7))


def _iterate_epochs(loader: DataLoader) -> Iterator[Iterable[Any]]:
    return itertools.chain.from_iterable(loader.steps() for _ in itertools.count())
