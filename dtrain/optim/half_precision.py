"""Update rules for float16 and bfloat16 parameters, without and with weights in float32."""

from __future__ import annotations

from collections.abc import Callable

from dtrain.backend import Array, kernels
from dtrain.backend.dtypes import float32
from dtrain.optim.types import Group, Numbers, State

UpdateRule = Callable[[Array, Array, State, Group, Numbers], None]

#: The name of the weights in float32 in the state of a parameter of halves.
MASTER = "master_param"


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


def on_master_weights(rule: UpdateRule) -> UpdateRule:
    """The rule for parameters of halves whose weights are kept in float32, as the whole state is.

    The parameter is the rounded weights. Where it is not, somebody has written to it, and the
    weights are taken from it: as at first, when they are 0, and after `load_state_dict`.
    """

    def update(param: Array, grad: Array, state: State, group: Group, numbers: Numbers) -> None:
        master = state[MASTER]
        wide_grad = kernels.follow_param(param, grad, master)
        others = {name: array for name, array in state.items() if name != MASTER}
        rule(master, wide_grad, others, group, numbers)
        param[...] = master

    return update
