"""Linear maps along one axis by matrices of few nonzeros a row: interpolation, means of windows."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from dtrain.autograd.op import op
from dtrain.autograd.primitive import OutputAndVJPs
from dtrain.backend import Array, kernels


class Band(NamedTuple):
    """A matrix: its row i has weights[i, j] in the column columns[i, j] of `size` columns.

    Both are (rows, k) on the host; where a row has fewer entries, weights are NaN. An entry of 0
    counts: 0 times infinity is NaN in the product, as in PyTorch.
    """

    columns: np.ndarray
    weights: np.ndarray
    size: int

    def transposed(self) -> Band:
        """The matrix transposed."""
        kept = np.nonzero(~np.isnan(self.weights))
        columns = self.columns[kept]
        order = columns.argsort(kind="stable")
        counts = np.bincount(columns, minlength=self.size)
        slots = np.arange(len(order)) - (counts.cumsum() - counts)[columns[order]]
        shape = self.size, counts.max(initial=0)
        back = Band(np.zeros(shape, "int64"), np.full(shape, np.nan), len(self.columns))
        back.columns[columns[order], slots] = kept[0][order]
        back.weights[columns[order], slots] = self.weights[kept][order]
        return back


@op
def resample(x: Array, *, axis: int, band: Band) -> OutputAndVJPs:
    """The product of a matrix with each line of x along an axis."""
    return kernels.resample(x, axis, band[:2]), (
        lambda g: kernels.resample(g, axis, band.transposed()[:2]),
    )
