"""`ReducedModule`: the buckets of a wrapped model, which DataParallel and DistributedDataParallel
have alike, and copies of it."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple

import dtrain.parallel.unreduced_check  # noqa: F401  watches all optimizers
from dtrain.autograd import Tensor
from dtrain.distributed.comm.communicator import Communicator
from dtrain.distributed.step import register_step_reduction
from dtrain.nn import Module
from dtrain.parallel.bucket_layout import BucketLayout
from dtrain.parallel.compression.compressed_reducer import CompressedBucketReducer
from dtrain.parallel.compression.protocol import Compression
from dtrain.parallel.compression.state import CompressionState
from dtrain.parallel.reducer import Reducer

if TYPE_CHECKING:
    from typing_extensions import Self


class ReductionOptions(NamedTuple):
    """How a model's gradients are reduced, see `BucketLayout`; a copy reduces the same way."""

    bucket_bytes: int | None
    overlap: bool
    exact: bool
    compression: Compression | None
    torch_rules: bool = False


class ReducedModule(Module):
    """A model whose gradients are reduced over ranks.

    The subclass sets `module` and `_options`, and calls `_make_reducer`.
    """

    module: Module
    compression_state: CompressionState
    _options: ReductionOptions
    _gradients: Reducer
    #: the attributes that belong to the buckets or ranks of one object
    _not_copied: ClassVar[tuple[str, ...]] = ("_gradients", "compression_state")

    def _communicator(self) -> Communicator:
        """The ranks over which gradients are reduced."""
        raise NotImplementedError

    def _make_reducer(self, is_copy: bool) -> None:
        comm, options = self._communicator(), self._options
        layout = BucketLayout(self.module, comm.empty, *options)
        if options.compression is not None:
            reducers = [r for r in layout.reducers if isinstance(r, CompressedBucketReducer)]
            names = {id(param): name for name, param in self.module.named_parameters()}
            self.compression_state = CompressionState(comm, reducers, names)
        self._gradients = Reducer(comm, layout, options.overlap, is_copy)
        register_step_reduction(self._gradients)

    def __getstate__(self) -> dict[str, Any]:
        """The attributes for `copy` and `pickle`: a copy has buckets of its own."""
        state = {k: v for k, v in self.__dict__.items() if k not in self._not_copied}
        if self._options.compression is not None:
            state["_error_feedback"] = self.compression_state.copy_own()
        return state

    def __setstate__(self, state: dict[str, Any]) -> None:
        error_feedback = state.pop("_error_feedback", None)
        self.__dict__.update(state)
        if error_feedback is not None:  # the ranks share its memory in the order of the buckets
            for param in self.module.parameters():
                param._bucket = None
        self._make_reducer(is_copy=True)
        if error_feedback is not None:
            self.compression_state.restore_own(error_feedback)

    def _replace_tensors(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> Self:
        super()._replace_tensors(fn, recurse)
        self._gradients.follow_changes()
        return self
