"""`Adafactor`: second moments of a matrix as one vector for its rows and one for its columns."""

from __future__ import annotations

import math
from math import inf
from typing import TYPE_CHECKING, Any

from dtrain.autograd import Tensor
from dtrain.autograd.tensor import wrap
from dtrain.backend import Array, array_module, move
from dtrain.backend.dtypes import finfo
from dtrain.optim import sharding
from dtrain.optim.complex_parts import adapt, require_real
from dtrain.optim.optimizer import Optimizer, Run, _FlatState
from dtrain.optim.options import as_number, as_numbers, check_options
from dtrain.optim.types import Group, Implementation, Numbers, Params, State

if TYPE_CHECKING:
    from typing_extensions import Unpack


class Adafactor(Optimizer):
    """Adam's scaling with factored second moments (torch.optim.Adafactor; Shazeer and Stern 2018).

    The mean squares of a gradient (..., n, m) are estimated from their means over rows and over
    columns: n + m numbers instead of n * m. For step t, with w = t ** beta2_decay and
    rho = min(lr, 1 / sqrt(t)): row_var += w * (mean(grad ** 2, -1) - row_var), likewise col_var;
    u = grad / sqrt(row_var * col_var / mean(row_var)); param *= 1 - lr * weight_decay;
    param -= rho * max(eps[1], rms(param)) * u / max(1, rms(u) / d).

    Parameters
    ----------
    beta2_decay : the exponent of t, at most 0
    eps : the smallest divisor, or None for the dtype's eps; the smallest rms(param)
    d : the rms of `u` above which a step is shortened

    >>> import dtrain
    >>> x = dtrain.ones(2, 3, requires_grad=True)
    >>> x.sum().backward()
    >>> Adafactor([x], lr=0.5).step()
    >>> x
    tensor([[0.5000, 0.5000, 0.5000],
            [0.5000, 0.5000, 0.5000]], requires_grad=True)
    """

    _by_parameter = True
    _has_flat_state = False

    def __init__(
        self,
        params: Params,
        lr: float = 1e-2,
        beta2_decay: float = -0.8,
        eps: tuple[float | None, float] = (None, 1e-3),
        d: float = 1.0,
        weight_decay: float = 0.0,
        *,
        maximize: bool = False,
        **implementation: Unpack[Implementation],
    ):
        check_options(
            "Adafactor", lr=(lr, 0, inf), d=(d, 1, inf), weight_decay=(weight_decay, 0, inf)
        )
        if not as_number("Adafactor: beta2_decay", beta2_decay) <= 0:
            raise ValueError(f"Adafactor: expected beta2_decay <= 0, got {beta2_decay}")
        defaults = {
            "lr": lr, "beta2_decay": beta2_decay, "eps": _read_eps(eps), "d": d,
            "weight_decay": weight_decay, "maximize": maximize,
        }  # fmt: skip
        #: the state of each updated parameter: row_var and col_var, or variance
        self._factors: dict[Tensor, State] = {}
        super().__init__(params, defaults, implementation)

    def _read_options(self, group: Group) -> None:
        require_real("Adafactor", group["params"])
        super()._read_options(group)
        group["eps"] = _read_eps(group["eps"])

    def _slots(self, group: Group) -> tuple[str, ...]:
        return ()

    # --- a step ---

    def _update_blocks(self, run: Run, group: Group) -> None:
        bucket = run.bucket
        update = adapt(self._update, bucket.data.dtype)
        own, first = bucket.update_range, bucket.grads.start
        for param in run.params:
            start = bucket.starts[param._bucket_index]
            if not param.numel() or not own.start <= start < own.stop:
                continue
            stop, shape = start + param.numel(), tuple(param.shape)
            values = bucket.own_values()[start - own.start : stop - own.start].reshape(shape)
            state = self._factors[param] = _make_state(values, self._factors.get(param))
            grad = bucket.grads.flat[start - first : stop - first].reshape(shape)
            update(values, grad, state, group, run.numbers)

    def _update(
        self, param: Array, grad: Array, state: State, group: Group, numbers: Numbers
    ) -> None:
        xp, step = array_module(param), numbers["step"]
        eps, smallest = group["eps"]
        eps = finfo(param.dtype).eps if eps is None else eps
        grad = -grad if group["maximize"] else grad
        weight = step ** group["beta2_decay"]
        size = _at_least(smallest, _rms(param)) * min(group["lr"], 1 / math.sqrt(step))
        if group["weight_decay"]:
            param *= 1 - group["lr"] * group["weight_decay"]
        squares = grad * grad
        if "variance" in state:
            _blend(state["variance"], squares, weight)
            variance = state["variance"]
        else:
            rows, columns = state["row_var"], state["col_var"]
            _blend(rows, squares.mean(-1, keepdims=True), weight)
            _blend(columns, squares.mean(-2, keepdims=True), weight)
            mean = xp.maximum(rows.mean(-2, keepdims=True), eps)
            variance = rows * columns / mean
        change = grad / xp.sqrt(xp.maximum(variance, eps * eps))
        param -= size / _at_least(1.0, _rms(change) / group["d"]) * change

    # --- state ---

    def _collect_state(self, get_flat: _FlatState) -> dict[Tensor, dict[str, Any]]:
        own = self._factors
        self._factors = {**own, **sharding.gather_by_parameter(self, own)}
        try:
            return super()._collect_state(get_flat)
        finally:
            self._factors = own

    def _param_state(self, param: Tensor, group: Group, flat: State) -> dict[str, Any]:
        factors = {name: wrap(array) for name, array in self._factors.get(param, {}).items()}
        return {**super()._param_state(param, group, flat), **factors}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Restore state and options; state arrays are copied, to the parameters' dtype and device.

        Raises
        ------
        ValueError
            If the groups, the parameters or the shapes of the state differ; nothing has been
            changed then.
        """
        factors, rest = self._read_factors(state_dict)
        super().load_state_dict(rest)
        self._factors = factors

    def _check_state_dict(self, state_dict: dict[str, Any]) -> None:
        super()._check_state_dict(self._read_factors(state_dict)[1])

    def _read_factors(
        self, state_dict: dict[str, Any]
    ) -> tuple[dict[Tensor, State], dict[str, Any]]:
        """The factors in a state_dict, by parameter, and the state_dict without them."""
        params = [param for group in self.param_groups for param in group["params"]]
        keys = [key for group in state_dict["param_groups"] for key in group["params"]]
        factors = {
            param: _read_state(index, param, state_dict["state"][key])
            for index, (param, key) in enumerate(zip(params, keys))
            if key in state_dict["state"]
        }
        numbers = {key: {"step": state["step"]} for key, state in state_dict["state"].items()}
        return factors, {**state_dict, "state": numbers}

    def __getstate__(self) -> dict[str, Any]:
        factors = {
            param: {name: array.copy() for name, array in state.items()}
            for param, state in self._factors.items()
        }
        return {**super().__getstate__(), "_factors": factors}


def _read_eps(eps: Any) -> tuple[float | None, float]:
    """The option `eps` as Python numbers; the first may be None."""
    parts = tuple(eps) if isinstance(eps, (tuple, list)) else (eps,)
    is_default = parts[0] is None
    first, second = as_numbers("Adafactor: eps", (0.0, *parts[1:]) if is_default else parts, 2)
    check_options("Adafactor", **{"eps[0]": (first, 0, inf), "eps[1]": (second, 0, inf)})
    return None if is_default else first, second


def _shapes(shape: tuple[int, ...]) -> dict[str, tuple[int, ...]]:
    """The shapes of the state arrays of a parameter, by name."""
    if len(shape) < 2:
        return {"variance": shape}
    return {"row_var": (*shape[:-1], 1), "col_var": (*shape[:-2], 1, shape[-1])}


def _make_state(param: Array, state: State | None) -> State:
    """The state arrays of a parameter, in its dtype and on its device; zeros at first."""
    xp = array_module(param)
    if state is None:
        return {name: xp.zeros(size, param.dtype) for name, size in _shapes(param.shape).items()}
    device = getattr(param, "device", "cpu")
    return {
        name: array
        if (array_module(array), array.dtype) == (xp, param.dtype)
        else move(array, device).astype(param.dtype)
        for name, array in state.items()
    }


def _read_state(index: int, param: Tensor, given: dict[str, Any]) -> State:
    """A copy of the state arrays of a parameter; other shapes are refused."""
    state = {}
    for name, size in _shapes(tuple(param.shape)).items():
        value = given.get(name)
        if value is None or tuple(value.shape) != size:
            found = "none" if value is None else f"shape {tuple(value.shape)}"
            raise ValueError(
                f"loaded state dict: expected {name} of parameter {index} with shape {size}, got "
                f"{found}"
            )
        state[name] = value.to(param.device, param.dtype).clone().array
    return state


def _rms(array: Array) -> Array:
    """The root of the mean square, as a 0-d array on the device."""
    return array_module(array).sqrt((array * array).mean())


def _at_least(least: float, value: Array) -> Array:
    """The larger of a number and a 0-d array; the number if the array is NaN, as in PyTorch."""
    return array_module(value).where(value > least, value, value.dtype.type(least))


def _blend(array: Array, other: Array, weight: float) -> None:
    """Move `array`, in place, towards `other` by a fraction; all the way is `other` itself."""
    if weight < 0.5:
        array += weight * (other - array)
    else:
        array[...] = other - (1 - weight) * (other - array)
