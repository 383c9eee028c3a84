"""`StepBatches`: the batches of one step, which may be iterated over several times."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any


class StepBatches:
    """This rank's batches of one optimizer step; each loop over it runs the whole step.

    Every rank makes the same number of loops. Random numbers in the loop body are the same each
    time.

    Parameters
    ----------
    run : begins the step and iterates over its batches

    >>> from dtrain.data import DataLoader
    >>> step = next(DataLoader(range(4), batch_size=2, microbatches=2).steps())
    >>> [x.tolist() for x in step], [x.tolist() for x in step]
    ([[0, 1], [2, 3]], [[0, 1], [2, 3]])
    """

    def __init__(self, run: Callable[[], Iterator[Any]]):
        self._run = run

    def __iter__(self) -> Iterator[Any]:
        return self._run()
