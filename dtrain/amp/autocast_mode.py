"""`autocast`, and the settings of autocast of this thread.

Which functions compute in which precision: `dtrain.functions.autocast`.
"""

from __future__ import annotations

import functools
import warnings
from collections.abc import Callable
from typing import Any, TypeVar, cast

import numpy as np

from dtrain.autograd import autocast_mode
from dtrain.autograd.autocast_mode import DEVICE_TYPES, AutocastMode
from dtrain.backend import cuda_device_count
from dtrain.backend.dtypes import DTypeLike, is_half

F = TypeVar("F", bound=Callable[..., Any])


class autocast:
    """Compute in mixed precision: a context manager or a decorator (torch.autocast).

    Products, convolutions and attention convert their inputs to the lower precision; functions
    that need more, such as losses, to float32; and the rest computes in the dtype of its inputs.
    Parameters and their gradients keep their dtype. A parameter is converted once until the
    outermost context is left. Run the forward pass inside, the backward pass outside of it.

    Parameters
    ----------
    device_type : "cpu" or "cuda": where tensors are converted
    dtype : bfloat16 or float16; if None bfloat16 on a CPU and float16 on a GPU
    enabled : False switches autocast off inside
    cache_enabled : whether converted parameters are kept; None: as it is outside

    >>> import dtrain
    >>> layer = dtrain.nn.Linear(2, 3)
    >>> with autocast("cpu"):
    ...     y = layer(dtrain.ones(4, 2))
    >>> y.dtype
    dtype(bfloat16)
    """

    device: str
    fast_dtype: np.dtype

    def __init__(
        self,
        device_type: str,
        dtype: DTypeLike = None,
        enabled: bool = True,
        cache_enabled: bool | None = None,
    ):
        _require_device(device_type)
        self.device = device_type
        self.fast_dtype = get_autocast_dtype(device_type) if dtype is None else np.dtype(dtype)
        self._cache_enabled = cache_enabled
        self._enabled = bool(enabled) and self._is_possible()
        self._outside: list[AutocastMode] = []

    def _is_possible(self) -> bool:
        """Whether there is such a device and such a lower precision; warns if not."""
        if self.device == "cuda" and not cuda_device_count():
            warnings.warn("CUDA is not available. Disabling autocast.", stacklevel=3)
            return False
        if not is_half(self.fast_dtype):
            warnings.warn(
                f"In {self.device.upper()} autocast, but the target dtype {self.fast_dtype} is "
                "not supported, only bfloat16 and float16. Disabling autocast.",
                stacklevel=3,
            )
            return False
        return True

    def __enter__(self) -> autocast:
        outside = autocast_mode.get_mode()
        self._outside.append(outside)
        devices = outside.devices - {self.device}
        cached = outside.cache_enabled if self._cache_enabled is None else self._cache_enabled
        mode = _with_dtype(outside, self.device, self.fast_dtype)
        autocast_mode.set_mode(
            mode._replace(
                devices=devices | {self.device} if self._enabled else devices, cache_enabled=cached
            )
        )
        autocast_mode.autocast_increment_nesting()
        return self

    def __exit__(self, *exception: object) -> None:
        if autocast_mode.autocast_decrement_nesting() == 0:
            autocast_mode.clear_autocast_cache()
        autocast_mode.set_mode(self._outside.pop())

    def __call__(self, function: F) -> F:
        if not callable(function):
            raise TypeError(
                f"autocast()(function) requires a callable, but got {type(function).__name__}; "
                "as a context manager it is used so: with autocast(device_type): ..."
            )

        @functools.wraps(function)
        def with_autocast(*args: Any, **kwargs: Any) -> Any:
            again = autocast.__new__(autocast)  # the function may run on many threads
            vars(again).update(vars(self), _outside=[])
            with again:
                return function(*args, **kwargs)

        return cast("F", with_autocast)


def _require_device(device_type: Any) -> None:
    if not isinstance(device_type, str):
        raise ValueError(f"Expected `device_type` of type `str`, got: `{type(device_type)}`")
    if device_type not in DEVICE_TYPES:
        raise RuntimeError(
            f"User specified an unsupported autocast device_type {device_type!r}; expected one of "
            f"{', '.join(DEVICE_TYPES)}"
        )


def _with_dtype(mode: AutocastMode, device_type: str, dtype: np.dtype) -> AutocastMode:
    if device_type == "cpu":
        return mode._replace(cpu_dtype=dtype)
    return mode._replace(cuda_dtype=dtype)


def is_autocast_available(device_type: str) -> bool:
    """Whether autocast is there for a kind of device (torch.amp.is_autocast_available)."""
    return device_type in DEVICE_TYPES


def is_autocast_enabled(device_type: str = "cuda") -> bool:
    """Whether autocast is on (torch.is_autocast_enabled)."""
    return device_type in autocast_mode.get_mode().devices


def set_autocast_enabled(*arguments: Any) -> None:
    """set_autocast_enabled([device_type, ]enabled): switch autocast on or off, without a context
    (torch.set_autocast_enabled)."""
    device_type, enabled = arguments if len(arguments) == 2 else ("cuda", *arguments)
    _require_device(device_type)
    mode = autocast_mode.get_mode()
    devices = mode.devices - {device_type}
    autocast_mode.set_mode(mode._replace(devices=devices | {device_type} if enabled else devices))


def get_autocast_dtype(device_type: str) -> np.dtype:
    """The lower precision of autocast (torch.get_autocast_dtype)."""
    _require_device(device_type)
    return autocast_mode.get_mode().dtype(device_type)


def set_autocast_dtype(device_type: str, dtype: DTypeLike) -> None:
    """Set the lower precision of autocast (torch.set_autocast_dtype)."""
    _require_device(device_type)
    autocast_mode.set_mode(_with_dtype(autocast_mode.get_mode(), device_type, np.dtype(dtype)))


def is_autocast_cache_enabled() -> bool:
    """Whether converted parameters are kept (torch.is_autocast_cache_enabled)."""
    return autocast_mode.get_mode().cache_enabled


def set_autocast_cache_enabled(enabled: bool) -> None:
    """Keep converted parameters or not (torch.set_autocast_cache_enabled)."""
    autocast_mode.set_mode(autocast_mode.get_mode()._replace(cache_enabled=bool(enabled)))


def is_autocast_cpu_enabled() -> bool:
    """`is_autocast_enabled("cpu")`."""
    return is_autocast_enabled("cpu")


def set_autocast_cpu_enabled(enabled: bool) -> None:
    """`set_autocast_enabled("cpu", enabled)`."""
    set_autocast_enabled("cpu", enabled)


def get_autocast_cpu_dtype() -> np.dtype:
    """`get_autocast_dtype("cpu")`."""
    return get_autocast_dtype("cpu")


def set_autocast_cpu_dtype(dtype: DTypeLike) -> None:
    """`set_autocast_dtype("cpu", dtype)`."""
    set_autocast_dtype("cpu", dtype)


def get_autocast_gpu_dtype() -> np.dtype:
    """`get_autocast_dtype("cuda")`."""
    return get_autocast_dtype("cuda")


def set_autocast_gpu_dtype(dtype: DTypeLike) -> None:
    """`set_autocast_dtype("cuda", dtype)`."""
    set_autocast_dtype("cuda", dtype)
