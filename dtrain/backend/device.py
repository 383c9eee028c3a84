"""Devices under PyTorch's names: "cpu" is NumPy, "cuda:i" is CuPy on GPU i."""

from __future__ import annotations

from contextlib import nullcontext
from types import ModuleType
from typing import Any

import numpy as np

from dtrain.backend.array_module import Array, to_host


def cuda_device_count() -> int:
    """How many GPUs CuPy sees; 0 where CuPy or a GPU is missing."""
    try:
        import cupy

        return cupy.cuda.runtime.getDeviceCount()
    except Exception:  # CuPy reports a missing driver, library or device by several exceptions
        return 0


class _Gpus:
    number_of_process = 0
    chosen: int | None = None  # by the user


def share_gpus(number: int) -> None:
    """Let "cuda" be the GPU of this number: that of this process among those of its machine.

    Numbers past the last GPU begin again at the first.
    """
    _Gpus.number_of_process = number


def set_device(device: device | str | int) -> None:
    """Make "cuda" without a number mean this GPU (torch.cuda.set_device).

    Without it "cuda" is the GPU of this rank's number on its machine.
    """
    index = device if isinstance(device, int) else cuda_index(device)
    module_on(f"cuda:{index}")
    _Gpus.chosen = index


def current_device() -> int:
    """The number of the GPU that "cuda" is (torch.cuda.current_device)."""
    if _Gpus.chosen is not None:
        return _Gpus.chosen
    return _Gpus.number_of_process % max(cuda_device_count(), 1)


def cuda_index(where: device | str | int) -> int:
    """Which GPU a CUDA device is."""
    index = device(where).index
    return current_device() if index is None else index


class device:
    """Where a tensor's memory is: ``device("cpu")``, ``device("cuda")``, ``device("cuda:1")``.

    A number is that of a GPU: ``device(1)`` is ``device("cuda:1")``.

    Mirrors torch.device. A CUDA device is looked for when it is first used, not here.

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

    def __str__(self) -> str:
        return self.type if self.index is None else f"{self.type}:{self.index}"

    def __repr__(self) -> str:
        index = "" if self.index is None else f", index={self.index}"
        return f"device(type={self.type!r}{index})"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, device) and (self.type, self.index) == (other.type, other.index)

    def __hash__(self) -> int:
        return hash((self.type, self.index))


def device_of(array: Array) -> device:
    """The device that holds an array."""
    return device("cpu") if isinstance(array, np.ndarray) else device("cuda", array.device.id)


def module_on(where: device | str | int | None) -> ModuleType:
    """The array module of a device.

    Raises
    ------
    RuntimeError
        For a CUDA device where there is none; says what to do.
    """
    where = device("cpu" if where is None else where)
    if where.type == "cpu":
        return np
    count = cuda_device_count()
    if cuda_index(where) >= count:
        raise RuntimeError(
            f"device {where}: this machine shows {count} CUDA devices to CuPy; use device 'cpu', "
            "or install CuPy on a machine with a GPU: pip install 'dtrain[cuda]'"
        )
    import cupy

    if where.index is None:  # array code outside of operations runs where CuPy is, too
        cupy.cuda.Device(current_device()).use()
    return cupy


def use_device(where: device | str | int | None) -> Any:
    """A context in which new CuPy arrays are made on `where`; nothing for the CPU."""
    where = device("cpu" if where is None else where)
    module = module_on(where)
    return nullcontext() if module is np else module.cuda.Device(cuda_index(where))


def on_device_of(*values: Any) -> Any:
    """A context in which CuPy computes where its arrays among `values` are; else nothing."""
    for value in values:
        if type(value).__module__.startswith("cupy"):
            return value.device
    return nullcontext()


def move(array: Array, where: device | str | int) -> Array:
    """The array on `where`: itself if it is there, else a copy."""
    where = device(where)
    if where.type == "cpu":
        return to_host(array)
    module = module_on(where)
    if not isinstance(array, np.ndarray) and array.device.id == cuda_index(where):
        return array
    with use_device(where):
        return module.asarray(array)
