"""The samples of the table of operations, and what their tests share."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest

from tests.cases.case import LAYOUTS, Case, Shape
from tests.cases.table import CASES

SAMPLES = [(case, sample) for case in CASES for sample in case.samples]


def samples(rows: Sequence[tuple[Case, Sequence[Shape]]]) -> pytest.MarkDecorator:
    """One test for each sample of an operation."""
    return pytest.mark.parametrize(
        ("case", "sample"), [pytest.param(*row, id=f"{row[0]} {row[1]}") for row in rows]
    )


def laid_out(case: Case, sample: Sequence[Shape], layout: str) -> list[np.ndarray]:
    """The inputs of a sample in a layout."""
    return [LAYOUTS[layout](array) for array in case.arrays(sample)]


def by_values(function: Callable[..., Any]) -> Callable[..., Any]:
    """`function(*arrays)`, evaluated once for all layouts that have the same values."""
    known: dict[bytes, Any] = {}

    def evaluate(*arrays: np.ndarray) -> Any:
        key = b"".join(array.tobytes() for array in arrays)
        if key not in known:
            known[key] = function(*arrays)
        return known[key]

    return evaluate


def assert_all_close(
    actual: Sequence[Any], expected: Sequence[Any], note: str = "", **tolerance: float
) -> None:
    assert len(actual) == len(expected), note
    for a, b in zip(actual, expected):
        np.testing.assert_allclose(a, b, err_msg=note, **tolerance)
