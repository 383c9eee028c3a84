"""Buffer updates of the training forward pass, which an owner may apply later, in its own order."""

from __future__ import annotations

from typing import Any

from dtrain.backend import Array
from dtrain.backend.tracing import current_tracer, tracers

#: arrays and numbers
BufferUpdate = tuple[Any, ...]


class DeferredBufferUpdates:
    """Mixin of layers whose forward pass changes a buffer or a parameter while they train.

    BatchNorm and InstanceNorm (running statistics), Embedding and EmbeddingBag (`max_norm`) and
    spectral_norm (singular vectors). As a layer by itself, each update is applied at once. Where
    `pending_updates` is a list, updates are queued in it: `DataParallel` gathers those of all
    ranks at the end of a step and applies them in microbatch order, so that every rank ends with
    the same bits.
    """

    #: the updates since the owner last cleared the list, in the order of the forward passes
    pending_updates: list[BufferUpdate] | None = None
    #: whether the updates change a parameter, not buffers
    updates_parameters = False

    def __getstate__(self) -> dict[str, Any]:
        """The attributes for `copy` and `pickle`: a copy applies its updates itself."""
        return {k: v for k, v in self.__dict__.items() if k != "pending_updates"}

    @property
    def updates_buffers(self) -> bool:
        """Whether the forward pass of this layer, as it is configured, makes any updates."""
        return True

    def update_buffers(self, *update: Array | float) -> None:
        """Apply the update of one forward pass, or queue it if updates are deferred."""
        if tracers and (tracer := current_tracer()) is not None:
            update_buffers = DeferredBufferUpdates.update_buffers
            tracer.call(update_buffers, (self, *update), {}, writes=True)
        elif self.pending_updates is None:
            self.apply_update(update)
        else:
            self.pending_updates.append(update)

    def apply_update(self, update: BufferUpdate) -> None:
        """Change the buffers by one update, whose arrays may be another rank's, on the host."""
        raise NotImplementedError
