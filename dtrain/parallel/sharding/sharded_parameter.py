"""Parameters whose values the ranks have in parts, on GPUs: reading one gathers it."""

from __future__ import annotations

from typing import Any

import numpy as np

from dtrain.autograd import Tensor
from dtrain.autograd.tensor import _initialize
from dtrain.backend import Array, array_module, device, device_of, on_device_of
from dtrain.backend.size import Size


class _Sharded(Tensor):
    """What a parameter's class is mixed with while its values are in parts.

    `array` is a view of the whole values while a unit runs that has them, else a copy.
    """

    #: the `BucketShard` that has the parameter
    _shard: Any
    #: of the parameter's shape, dtype and device, in the memory of one element
    _like: Array
    #: the values where the parameter has some of its own, as in `summon_full_params`
    _own: Array | None

    @property
    def array(self) -> Array:
        own = self.__dict__["_own"]
        if own is not None:
            return own
        return self._shard.values_of(self)

    @array.setter
    def array(self, values: Array) -> None:
        self.__dict__["_own"] = values

    def _described(self) -> Array:
        """An array of the parameter's shape and dtype, which is not gathered for that."""
        own = self.__dict__["_own"]
        return self._like if own is None else own

    @property
    def shape(self) -> Size:
        return Size(self._described().shape)

    @property
    def dtype(self) -> np.dtype:
        return self._described().dtype

    @property
    def ndim(self) -> int:
        return self._described().ndim

    @property
    def device(self) -> device:
        own = self.__dict__["_own"]
        if own is None:  # a GPU may have a copy
            own = self._shard.find_values(self)
        return device_of(self._like if own is None else own)

    @property
    def is_cuda(self) -> bool:
        return self.device.type == "cuda"

    @property
    def itemsize(self) -> int:
        return self._described().itemsize

    @property
    def nbytes(self) -> int:
        return self._described().nbytes

    def dim(self) -> int:
        return self._described().ndim

    def numel(self) -> int:
        return self._described().size

    def element_size(self) -> int:
        return self._described().itemsize

    def _unsharded(self) -> Tensor:
        """An ordinary parameter of these values, for copies."""
        plain: Tensor = object.__new__(type(self).__mro__[2])
        _initialize(plain, self.array.copy(), self._requires_grad)
        return plain

    def __deepcopy__(self, memo: dict[int, Any]) -> Tensor:
        plain = memo[id(self)] = self._unsharded()
        return plain

    def __reduce_ex__(self, protocol: Any) -> Any:
        return _identity, (self._unsharded(),)


def _identity(param: Tensor) -> Tensor:
    return param


#: the classes of sharded parameters, by those that they had before
_classes: dict[type[Tensor], type[Tensor]] = {}


class _GuardedVersion(list[int]):
    """The version of a parameter that is written to in `summon_full_params` alone: elsewhere a
    write goes to a copy of the values, and is refused."""

    is_open = False

    def __setitem__(self, index: Any, value: Any) -> None:
        self._check()
        super().__setitem__(index, value)

    def append(self, value: int) -> None:
        self._check()
        super().append(value)

    def _check(self) -> None:
        if not self.is_open:
            raise RuntimeError(
                "a write to a parameter that is sharded by fully_shard: write to it inside "
                "`with summon_full_params(module)`, on every rank"
            )


def make_sharded(param: Tensor, shard: Any) -> None:
    """Have a parameter read its values from `shard`, a `BucketShard`."""
    array = param.__dict__.pop("array")
    with on_device_of(array):
        xp = array_module(array)
        like = xp.broadcast_to(xp.zeros((), array.dtype), array.shape)
    param.__dict__.update(_shard=shard, _like=like, _own=None)
    param._version = _GuardedVersion(param._version)
    cls = type(param)
    if cls not in _classes:
        _classes[cls] = type(f"Sharded{cls.__name__}", (_Sharded, cls), {})
    param.__class__ = _classes[cls]


def allow_writes(param: Tensor, allowed: bool) -> None:
    """Let in-place operations write to a sharded parameter, or refuse them."""
    if isinstance(param._version, _GuardedVersion):
        param._version.is_open = allowed


def has_own_values(param: Tensor) -> bool:
    """Whether a parameter of `make_sharded` has values apart from the other ranks'."""
    return param.__dict__["_own"] is not None


def drop_own_values(param: Tensor) -> None:
    """Have a parameter of `make_sharded` read from its shard again."""
    param.__dict__["_own"] = None
