"""The values of a bucket in host memory, of which a GPU has a copy while a unit runs."""

from __future__ import annotations

import contextlib
import ctypes

import numpy as np

from dtrain.autograd import Tensor
from dtrain.autograd.bucket import Bucket
from dtrain.backend import Array, device, use_device
from dtrain.parallel.sharding.gathered_values import GatheredValues, WholeValues

#: by address: host memory that GPUs copy from by themselves, kept while they may
_pinned: dict[int, np.ndarray] = {}


class OffloadedValues(GatheredValues):
    """The values of a bucket in host memory that a machine's ranks share.

    Parameters
    ----------
    bucket : in host memory
    place : the GPU on which units compute
    """

    def __init__(self, bucket: Bucket, place: device):
        super().__init__(bucket)
        self._place = place
        bucket.computes_on_device = True
        _pin(bucket.data, place)

    def _make_whole(self) -> WholeValues:
        import cupy

        host = self._bucket.data
        with use_device(self._place):
            flat = cupy.empty(len(host), host.dtype)
        return WholeValues(self._bucket, flat, self._copy_host)

    def _copy_host(self, flat: Array) -> None:
        host = self._bucket.data
        if len(host):
            flat.data.copy_from_host_async(ctypes.c_void_p(host.ctypes.data), host.nbytes)

    def _read(self, param: Tensor) -> Array:
        values = self._bucket.view(self._bucket.data, param._bucket_index)
        values.flags.writeable = False
        return values

    def forget(self) -> None:
        whole = self._kept or self.find_whole()
        super().forget()
        if whole is not None:
            whole.copied.synchronize()  # the host's next write does not wait for streams


def _pin(host: np.ndarray, place: device) -> None:
    """Let GPUs copy from host memory without the host; where that is refused, they wait for it."""
    import cupy

    address = host.ctypes.data
    if host.nbytes and address not in _pinned:
        with (
            contextlib.suppress(cupy.cuda.runtime.CUDARuntimeError),
            use_device(place),
        ):
            cupy.cuda.runtime.hostRegister(address, host.nbytes, 0)
            _pinned[address] = host
