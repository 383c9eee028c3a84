"""Update rules for float16 and bfloat16 parameters."""

from __future__ import annotations

from collections.abc import Callable

from dtrain.backend import Array
from dtrain.backend.dtypes import float32
from dtrain.optim.types import Group, Numbers, State

UpdateRule = Callable[[Array, Array, State, Group, Numbers], None]


def in_float32(rule: UpdateRule) -> UpdateRule:
    """The rule for arrays of halves: it computes in float32, then each array is rounded once.

    A half holds neither the square of a small gradient nor Adam's eps.
    """

    def update(param: Array, grad: Array, state: State, group: Group, numbers: Numbers) -> None:
        halves = (param, *state.values())
        wide = [array.astype(float32) for array in halves]
        rule(wide[0], grad.astype(float32), dict(zip(state, wide[1:])), group, numbers)
        for half, array in zip(halves, wide):
            half[...] = array

    return update
