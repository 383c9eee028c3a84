"""Whole values of a bucket on a GPU, made while a unit needs them of what lies elsewhere."""

from __future__ import annotations

import weakref
from collections.abc import Callable
from typing import Any

from dtrain.autograd import Tensor
from dtrain.autograd.bucket import Bucket
from dtrain.backend import Array
from dtrain.backend.side_stream import record_event, side_stream, wait_event


class WholeValues:
    """A copy of all values of a bucket, which is made beside other work.

    Its memory is free when nobody refers to it or to its arrays.

    Parameters
    ----------
    bucket : whose values these are
    flat : memory for them, (size,), of the current stream
    fill : writes the values to `flat`
    """

    def __init__(self, bucket: Bucket, flat: Array, fill: Callable[[Array], None]):
        self._bucket, self._flat = bucket, flat
        self._views: dict[int, Array] = {}
        # After this stream's work so far, which may still use that memory for something else.
        with side_stream(flat, after=record_event(flat)):
            fill(flat)
            #: after the last copy
            self.copied: Any = record_event(flat)
        self._is_waited_for = False

    def flat(self) -> Array:
        """The values, (size,); work that is queued after this call waits for the copy."""
        if not self._is_waited_for:
            wait_event(self._flat, self.copied)
            self._is_waited_for = True
        return self._flat

    def view(self, index: int) -> Array:
        """The values of a parameter, in its shape."""
        if index not in self._views:
            self._views[index] = self._bucket.view(self.flat(), index)
        return self._views[index]


class GatheredValues:
    """The values of a bucket, which are whole on a GPU while somebody has them.

    Parameters
    ----------
    bucket : whose values these are
    """

    def __init__(self, bucket: Bucket):
        self._bucket = bucket
        #: kept while a unit runs, or until it begins to
        self._kept: WholeValues | None = None
        self._holds = 0
        #: the last whole values, while a unit or the backward pass's saved values refer to them
        self._last: weakref.ref[WholeValues] | None = None

    def find_whole(self) -> WholeValues | None:
        """The whole values, if a unit or saved values refer to some."""
        return None if self._last is None else self._last()

    def prefetch(self) -> None:
        """Begin to gather, and keep the whole values for the next one who asks for them."""
        if self._kept is None:
            self._kept = self._find_or_gather()

    def gather(self) -> WholeValues:
        """The whole values."""
        whole = self._kept or self._find_or_gather()
        if not self._holds:
            self._kept = None
        return whole

    def hold(self) -> None:
        """Keep the whole values until `release`."""
        self.prefetch()
        self._holds += 1

    def release(self) -> None:
        """End a `hold`."""
        self._holds -= 1
        if not self._holds:
            self._drop_kept()

    def _drop_kept(self) -> None:
        if self._kept is not None:
            self._kept.flat()  # what gets the memory next is queued after a copy to it
            self._kept = None

    def _find_or_gather(self) -> WholeValues:
        whole = self.find_whole()
        if whole is None:
            whole = self._make_whole()
            self._last = weakref.ref(whole)
        return whole

    def _make_whole(self) -> WholeValues:
        raise NotImplementedError

    def read(self, param: Tensor) -> Array:
        """The values of a parameter: of the whole values, if somebody has them."""
        whole = self.find_whole()
        return self._read(param) if whole is None else whole.view(param._bucket_index)

    def _read(self, param: Tensor) -> Array:
        """The values of a parameter where nobody has the whole ones."""
        raise NotImplementedError

    def forget(self) -> None:
        """Gather anew the next time: the values are about to change."""
        self._drop_kept()
        self._last = None
