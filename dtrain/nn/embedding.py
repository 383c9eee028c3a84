"""Embedding and EmbeddingBag: rows of a trained table by index, as layers."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from dtrain.autograd import Tensor
from dtrain.backend import array_module
from dtrain.functions.creation import empty
from dtrain.nn import functional as F, init
from dtrain.nn.deferred_updates import BufferUpdate, DeferredBufferUpdates
from dtrain.nn.functional.embedding import shorten
from dtrain.nn.module import Module
from dtrain.nn.parameter import Parameter


class _Table(DeferredBufferUpdates, Module):
    """A weight (num_embeddings, embedding_dim): standard normal, except a zero row padding_idx."""

    num_embeddings: int
    embedding_dim: int
    padding_idx: int | None
    max_norm: float | None
    norm_type: float
    scale_grad_by_freq: bool
    sparse: bool
    weight: Parameter
    updates_parameters = True

    def __init__(
        self,
        num_embeddings: int,
        embedding_dim: int,
        padding_idx: int | None,
        weight: Tensor | None,
        freeze: bool,
        like: dict[str, Any],
    ):
        super().__init__()
        if padding_idx is not None and not -num_embeddings <= padding_idx < num_embeddings:
            raise ValueError(
                f"{type(self).__name__}: padding_idx={padding_idx} is no row of {num_embeddings}"
            )
        self.num_embeddings, self.embedding_dim = num_embeddings, embedding_dim
        self.padding_idx = None if padding_idx is None else padding_idx % num_embeddings
        shape = (num_embeddings, embedding_dim)
        if weight is not None and weight.shape != shape:
            raise ValueError(
                f"{type(self).__name__}: expected a weight of shape {shape}, got {weight.shape}"
            )
        table = empty(shape, **like) if weight is None else weight
        self.weight = Parameter(table, requires_grad=not freeze)
        if weight is None:
            self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draw new initial values of the weight."""
        init.normal_(self.weight)
        if self.padding_idx is not None:
            self.weight.detach()[self.padding_idx] = 0

    @classmethod
    def from_pretrained(cls, embeddings: Tensor, freeze: bool = True, **options: Any) -> Any:
        """Make a layer with this weight, (rows, d), which `freeze` excludes from training."""
        if embeddings.ndim != 2:
            raise ValueError(f"from_pretrained: expected (rows, d), got {embeddings.shape}")
        make: Any = cls
        layer = make(*embeddings.shape, _weight=embeddings, **options)
        layer.weight.requires_grad_(not freeze)
        return layer

    @property
    def updates_buffers(self) -> bool:
        """With `max_norm` the forward pass shortens the rows that it looks up.

        Ranks look up other rows, so all ranks shorten the rows of all microbatches, in order.
        """
        return self.max_norm is not None

    @contextmanager
    def _rows_shortened(self, input: Tensor) -> Iterator[None]:
        """Whether the rows of the table stay shortened or are as they were when it ends."""
        if self.max_norm is None or self.pending_updates is None:
            yield  # the function shortens them
            return
        table, version = self.weight.array, self.weight._version
        rows = array_module(table).unique(input.array)
        before, count = table[rows], version[0]
        try:
            yield
        finally:
            table[rows], version[0] = before, count
        if self.training:
            self.update_buffers(rows)

    def apply_update(self, update: BufferUpdate) -> None:
        """Shorten the rows that one microbatch has looked up; the update is their indices."""
        assert self.max_norm is not None
        rows = array_module(self.weight.array).asarray(*update)
        shorten(self.weight, rows, self.max_norm, self.norm_type)

    def _format(self, *names: str) -> str:
        """The sizes, and the options that differ from their defaults."""
        options = [f"{name}={getattr(self, name)!r}" for name in names if self._differs(name)]
        return ", ".join([f"{self.num_embeddings}, {self.embedding_dim}", *options])

    def _differs(self, name: str) -> bool:
        value = getattr(self, name)
        return value is not None and value is not False and (name != "norm_type" or value != 2)


class Embedding(_Table):
    """weight[input] (torch.nn.Embedding).

    Shape: (*) of integers to (*, embedding_dim). Under DataParallel `max_norm` shortens rows at the
    end of a step, in microbatch order; gradients are dense, also with `sparse`.

    >>> import dtrain
    >>> Embedding(10, 3)(dtrain.tensor([[1, 2], [4, 5]])).shape
    dtrain.Size([2, 2, 3])
    """

    scale_grad_by_freq: bool
    sparse: bool

    def __init__(
        self,
        num_embeddings: int,
        embedding_dim: int,
        padding_idx: int | None = None,
        max_norm: float | None = None,
        norm_type: float = 2.0,
        scale_grad_by_freq: bool = False,
        sparse: bool = False,
        _weight: Tensor | None = None,
        _freeze: bool = False,
        device: Any = None,
        dtype: Any = None,
    ):
        like = {"device": device, "dtype": dtype}
        super().__init__(num_embeddings, embedding_dim, padding_idx, _weight, _freeze, like)
        self.max_norm = max_norm
        self.norm_type = norm_type
        self.scale_grad_by_freq, self.sparse = scale_grad_by_freq, sparse

    def forward(self, input: Tensor) -> Tensor:
        with self._rows_shortened(input):
            return F.embedding(
                input, self.weight, self.padding_idx, self.max_norm, self.norm_type,
                self.scale_grad_by_freq, self.sparse,
            )  # fmt: skip

    def extra_repr(self) -> str:
        return self._format("padding_idx", "max_norm", "norm_type", "scale_grad_by_freq")


class EmbeddingBag(_Table):
    """The sum, mean or maximum of weight[i] over the indices i of each bag (torch.nn.EmbeddingBag).

    Shape: (n, k), or (m,) with offsets (n,), to (n, embedding_dim).

    >>> import dtrain
    >>> bags = EmbeddingBag(10, 3, mode="sum")
    >>> bags(dtrain.tensor([1, 2, 4, 5]), dtrain.tensor([0, 3])).shape
    dtrain.Size([2, 3])
    """

    scale_grad_by_freq: bool
    sparse: bool
    mode: str

    def __init__(
        self,
        num_embeddings: int,
        embedding_dim: int,
        max_norm: float | None = None,
        norm_type: float = 2.0,
        scale_grad_by_freq: bool = False,
        mode: str = "mean",
        sparse: bool = False,
        _weight: Tensor | None = None,
        include_last_offset: bool = False,
        padding_idx: int | None = None,
        device: Any = None,
        dtype: Any = None,
    ):
        like = {"device": device, "dtype": dtype}
        super().__init__(num_embeddings, embedding_dim, padding_idx, _weight, False, like)
        self.max_norm = max_norm
        self.norm_type = norm_type
        self.scale_grad_by_freq, self.mode, self.sparse = scale_grad_by_freq, mode, sparse
        self.include_last_offset = include_last_offset

    def forward(
        self,
        input: Tensor,
        offsets: Tensor | None = None,
        per_sample_weights: Tensor | None = None,
    ) -> Tensor:
        with self._rows_shortened(input):
            return F.embedding_bag(
                input, self.weight, offsets, self.max_norm, self.norm_type,
                self.scale_grad_by_freq, self.mode, self.sparse, per_sample_weights,
                self.include_last_offset, self.padding_idx,
            )  # fmt: skip

    def extra_repr(self) -> str:
        return self._format("max_norm", "norm_type", "scale_grad_by_freq", "mode", "padding_idx")
