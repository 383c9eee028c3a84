"""Warnings of values that a graph has as constants, with the lines of the program."""

from __future__ import annotations

import warnings
from collections.abc import Iterable


class TracerWarning(UserWarning):
    """A tensor's value was read by Python while a function was traced (torch.jit.TracerWarning)."""


def warn_of_places(by: str, places: Iterable[str], text: str) -> None:
    """Warn once of each of the places in the program; `by`: the public function that was called."""
    for place in dict.fromkeys(places):
        warnings.warn(f"{by}: {place}: {text}", TracerWarning, stacklevel=5)
