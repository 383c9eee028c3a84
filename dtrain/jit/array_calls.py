"""Calls of array functions, of which the code of rules consists."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np

from dtrain.jit.graph import Call


@dataclass
class ArrayCall(Call):
    """A call of a function of arrays.

    shared : the arguments whose memory an output shares
    width : the length of the tuple that it returns; 0 if it returns an array
    """

    shared: set[int] = field(default_factory=set)
    width: int = 0


class Example(NamedTuple):
    """Shape and dtype of a value in the code of a rule.

    is_array : rather than a number
    is_ordered : whether its elements lie in C order, where those of the arguments do
    """

    shape: tuple[int, ...]
    dtype: np.dtype | None
    is_array: bool
    is_ordered: bool = True
