"""Devices under PyTorch's names: "cpu" is NumPy, "cuda:i" is CuPy on GPU i."""

from __future__ import annotations

import threading
from contextlib import nullcontext
from types import ModuleType
from typing import Any, TypeAlias

import numpy as np

from dtrain.backend.array_module import Array, is_cupy, to_host
from dtrain.backend.pinned import copy_pinned, is_pinned


def cuda_device_count() -> int:
    """The number of GPUs that CuPy sees; 0 without CuPy or a GPU (torch.cuda.device_count)."""
    try:
        import cupy

        return cupy.cuda.runtime.getDeviceCount()
    except Exception:  # CuPy reports a missing driver, library or device by several exceptions
        return 0


class _PerThread(threading.local):
    def __init__(self) -> None:
        self.default: device | None = None
        self.outer: list[device | None] = []  # the defaults around `with device(...)`


_here = _PerThread()  # PyTorch's default device is one a thread, too


def set_default_device(device: DeviceLike) -> None:
    """Set where new tensors are made if no device is given (torch.set_default_device).

    None is the CPU. It holds for the calling thread. A device that does not exist is refused when
    the first tensor is made.

    >>> set_default_device("cpu"); get_default_device()
    device(type='cpu')
    """
    _here.default = None if device is None else _as_device(device)


def get_default_device() -> device:
    """Where new tensors are made if no device is given (torch.get_default_device)."""
    return _here.default or device("cpu")


def chosen_device(given: DeviceLike) -> DeviceLike:
    """The device of a new tensor: the one given, else the default; None if nobody chose any."""
    return _here.default if given is None else given


class _CurrentGpu:
    """What "cuda" without an index means in this process."""

    local_rank = 0
    chosen: int | None = None  # by set_device


def share_gpus(local_rank: int) -> None:
    """Make "cuda" the GPU `local_rank` of this machine, modulo the number of its GPUs."""
    _CurrentGpu.local_rank = local_rank


def set_device(device: device | str | int) -> None:
    """Make "cuda" without an index mean this GPU (torch.cuda.set_device).

    By default "cuda" is the GPU whose index is the local rank.
    """
    index = device if isinstance(device, int) else cuda_index(device)
    module_on(f"cuda:{index}")
    _CurrentGpu.chosen = index


def current_device() -> int:
    """The index of the GPU that "cuda" means (torch.cuda.current_device)."""
    if _CurrentGpu.chosen is not None:
        return _CurrentGpu.chosen
    return _CurrentGpu.local_rank % max(cuda_device_count(), 1)


def cuda_index(where: device | str | int) -> int:
    """The index of the GPU of a CUDA device."""
    index = device(where).index
    return current_device() if index is None else index


class device:
    """Where a tensor's memory is: ``device("cpu")``, ``device("cuda")``, ``device("cuda:1")``.

    A number is that of a GPU: ``device(1)`` is ``device("cuda:1")``.

    Mirrors torch.device. Whether a CUDA device exists is checked at its first use, not here.
    As a context manager it is the default device of its body.

    >>> device("cuda:1").type, device("cuda:1").index
    ('cuda', 1)
    """

    __slots__ = ("index", "type")

    type: str
    index: int | None

    def __init__(self, type: str | device | int, index: int | None = None):
        if isinstance(type, int) and not isinstance(type, bool) and index is None and type >= 0:
            type = f"cuda:{type}"
        name, _, number = str(type).partition(":")
        if name not in ("cpu", "cuda") or (number and (not number.isdigit() or index is not None)):
            raise RuntimeError(f"device: expected 'cpu', 'cuda', 'cuda:N' or N, got {type!r}")
        self.type = name
        self.index = int(number) if number else index

    def __enter__(self) -> device:
        _here.outer.append(_here.default)
        set_default_device(self)
        return self

    def __exit__(self, *exception: object) -> None:
        _here.default = _here.outer.pop()

    def __reduce__(self) -> tuple[Any, ...]:
        return device, (self.type, self.index)

    def __str__(self) -> str:
        return self.type if self.index is None else f"{self.type}:{self.index}"

    def __repr__(self) -> str:
        index = "" if self.index is None else f", index={self.index}"
        return f"device(type={self.type!r}{index})"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, device) and (self.type, self.index) == (other.type, other.index)

    def __hash__(self) -> int:
        return hash((self.type, self.index))


DeviceLike: TypeAlias = device | str | int | None


def _as_device(where: DeviceLike) -> device:
    """The device that is meant; None is the default one."""
    return get_default_device() if where is None else device(where)


def device_of(array: Array) -> device:
    """The device that holds an array."""
    return device("cpu") if isinstance(array, np.ndarray) else device("cuda", array.device.id)


def module_on(where: DeviceLike) -> ModuleType:
    """The array module of a device; None is the default one.

    Raises
    ------
    RuntimeError
        If CuPy sees no such CUDA device.
    """
    where = _as_device(where)
    if where.type == "cpu":
        return np
    count = cuda_device_count()
    if cuda_index(where) >= count:
        raise RuntimeError(
            f"device {where}: this machine shows {count} CUDA devices to CuPy; use device 'cpu', "
            "or install CuPy on a machine with a GPU: pip install 'dtrain[cuda]'"
        )
    import cupy

    if where.index is None:  # for array code outside of operations
        cupy.cuda.Device(current_device()).use()
    return cupy


def use_device(where: DeviceLike) -> Any:
    """A context manager in which CuPy allocates on `where`; without effect for the CPU."""
    where = _as_device(where)
    module = module_on(where)
    return nullcontext() if module is np else module.cuda.Device(cuda_index(where))


_NOTHING = nullcontext()


def on_device_of(*values: Any) -> Any:
    """A context manager for the device of the first CuPy array among `values`; without effect if
    there is none."""
    for value in values:
        if is_cupy(value):
            return value.device
    return _NOTHING


def move(array: Array, where: DeviceLike, wait: bool = True) -> Array:
    """The array itself if it is on `where`, else a copy there.

    wait: until a host array may change. Only a copy from pinned memory can do without.
    """
    where = _as_device(where)
    if where.type == "cpu":
        return to_host(array)
    module = module_on(where)
    if not isinstance(array, np.ndarray) and array.device.id == cuda_index(where):
        return array
    with use_device(where):
        if isinstance(array, np.ndarray) and is_pinned(array) and array.flags.forc:
            return copy_pinned(array, wait)
        return module.asarray(array)
