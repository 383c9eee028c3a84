"""Batches of sequences of different lengths: padded, and packed (torch.nn.utils.rnn)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

import numpy as np

from dtrain.autograd import Tensor
from dtrain.functions.creation import as_tensor
from dtrain.functions.joining import stack
from dtrain.functions.padding import pad
from dtrain.primitives import embedding, indexing


class _Packed(NamedTuple):
    data: Tensor
    batch_sizes: Tensor
    sorted_indices: Tensor | None = None
    unsorted_indices: Tensor | None = None


class PackedSequence(_Packed):
    """Sequences of different lengths without padding (torch.nn.utils.rnn.PackedSequence).

    data (sum of lengths, ...): the first step of every sequence, the longest sequence first, then
    every second step, and so on. batch_sizes (longest,): the number of sequences that have a step,
    on the CPU. Packed sequence i is sequence sorted_indices[i] of the batch.
    """

    __slots__ = ()

    def __new__(
        cls,
        data: Any,
        batch_sizes: Tensor | None = None,
        sorted_indices: Tensor | None = None,
        unsorted_indices: Tensor | None = None,
    ) -> PackedSequence:
        if batch_sizes is None:
            data, batch_sizes = data
        assert batch_sizes is not None
        if unsorted_indices is None:
            unsorted_indices = invert_permutation(sorted_indices)
        return super().__new__(cls, data, batch_sizes, sorted_indices, unsorted_indices)

    def to(self, *args: Any, **kwargs: Any) -> PackedSequence:
        """Convert or move `data` like Tensor.to."""
        data = self.data.to(*args, **kwargs)
        if data is self.data:
            return self
        orders = (
            None if order is None else order.to(data.device)
            for order in (self.sorted_indices, self.unsorted_indices)
        )
        return PackedSequence(data, self.batch_sizes, *orders)

    def cpu(self) -> PackedSequence:
        """Move `data` to the CPU."""
        return self.to("cpu")

    def cuda(self, device: Any = None) -> PackedSequence:
        """Move `data` to a GPU."""
        return self.to("cuda" if device is None else device)

    @property
    def is_cuda(self) -> bool:
        """Whether `data` is on a GPU."""
        return self.data.is_cuda


def invert_permutation(permutation: Tensor | None) -> Tensor | None:
    """The inverse permutation (torch.nn.utils.rnn.invert_permutation)."""
    return None if permutation is None else permutation.argsort()


def pad_sequence(
    sequences: Tensor | Iterable[Tensor],
    batch_first: bool = False,
    padding_value: float = 0.0,
    padding_side: str = "right",
) -> Tensor:
    """Pad sequences (length, ...) to the longest, and stack them (torch.nn.utils.rnn.pad_sequence).

    Returns (longest, n, ...), with `batch_first` (n, longest, ...).

    >>> import dtrain
    >>> pad_sequence([dtrain.tensor([1, 2, 3]), dtrain.tensor([4])], batch_first=True)
    tensor([[1, 2, 3],
            [4, 0, 0]])
    """
    if not isinstance(sequences, Iterable):
        raise RuntimeError(
            f"pad_sequence: expected sequences to iterate over, got {type(sequences).__name__}"
        )
    if padding_side not in ("left", "right"):
        raise RuntimeError(
            f"pad_sequence: expected padding_side 'left' or 'right', got {padding_side!r}"
        )
    parts = list(sequences)
    if not parts:
        raise RuntimeError("pad_sequence: received an empty list of sequences")
    longest = max(len(part) for part in parts)
    padded = []
    for part in parts:
        more = longest - len(part)
        ends = (0, more) if padding_side == "right" else (more, 0)
        padded.append(pad(part, (0, 0) * (part.ndim - 1) + ends, value=padding_value))
    return stack(padded, 0 if batch_first else 1)


def unpad_sequence(
    padded_sequences: Tensor, lengths: Any, batch_first: bool = False
) -> list[Tensor]:
    """Split a padded batch into sequences (length, ...) (torch.nn.utils.rnn.unpad_sequence)."""
    rows = padded_sequences if batch_first else padded_sequences.transpose(0, 1)
    return [row[:length] for row, length in zip(rows, as_tensor(lengths).tolist())]


def pack_padded_sequence(
    input: Tensor, lengths: Any, batch_first: bool = False, enforce_sorted: bool = True
) -> PackedSequence:
    """Pack a padded batch (torch.nn.utils.rnn.pack_padded_sequence).

    Shape: (t, n, ...), with `batch_first` (n, t, ...). lengths (n,), decreasing unless
    enforce_sorted=False.

    >>> import dtrain
    >>> packed = pack_padded_sequence(
    ...     dtrain.tensor([[1, 2, 3], [4, 0, 0]]), [3, 1], batch_first=True
    ... )
    >>> packed.data, packed.batch_sizes
    (tensor([1, 4, 2, 3]), tensor([2, 1, 1]))
    """
    sizes = np.asarray(as_tensor(lengths).tolist(), np.int64)
    _check_lengths(sizes, input, batch_first, enforce_sorted)
    n, steps = input.shape[:2] if batch_first else input.shape[1::-1]
    order = np.arange(n) if enforce_sorted else np.argsort(-sizes, kind="stable")
    running = np.arange(sizes.max())[:, None] < sizes[order]
    time, sequence = running.nonzero()
    sequence = order[sequence]
    rows = sequence * steps + time if batch_first else time * n + sequence
    data = _rows(input.reshape(steps * n, *input.shape[2:]), rows)
    sorted_indices = None if enforce_sorted else as_tensor(order, device=input.device)
    return PackedSequence(data, as_tensor(running.sum(1)), sorted_indices)


def _check_lengths(
    lengths: np.ndarray, input: Tensor, batch_first: bool, enforce_sorted: bool
) -> None:
    name, batch = "pack_padded_sequence", 0 if batch_first else 1
    if input.ndim < 2 or lengths.shape != (input.shape[batch],) or not len(lengths):
        raise RuntimeError(
            f"{name}: expected one length for each sequence of a padded batch, got lengths of "
            f"shape {lengths.shape} for input of shape {input.shape}"
        )
    steps = input.shape[1 - batch]
    if lengths.min() < 1 or lengths.max() > steps:
        raise RuntimeError(
            f"{name}: expected lengths greater than 0 and at most {steps}, the padded length, "
            f"got {lengths.tolist()}"
        )
    if enforce_sorted and (np.diff(lengths) > 0).any():
        raise RuntimeError(
            f"{name}: lengths must be sorted in decreasing order when enforce_sorted is True, "
            f"got {lengths.tolist()}; give enforce_sorted=False"
        )


def _rows(x: Tensor, rows: np.ndarray) -> Tensor:
    """x[rows], for x (n, ...)."""
    flat = x.reshape(x.shape[0], -1) if x.numel() else x.reshape(x.shape[0], 0)
    index = as_tensor(rows, device=x.device).array
    out = embedding.embedding(flat, index=index, padding_index=None)
    return out.reshape(*rows.shape, *x.shape[1:])


def pad_packed_sequence(
    sequence: PackedSequence,
    batch_first: bool = False,
    padding_value: float = 0.0,
    total_length: int | None = None,
) -> tuple[Tensor, Tensor]:
    """Unpack to a padded batch and its lengths (torch.nn.utils.rnn.pad_packed_sequence).

    >>> import dtrain
    >>> packed = pack_sequence([dtrain.tensor([1]), dtrain.tensor([2, 3])], enforce_sorted=False)
    >>> pad_packed_sequence(packed, batch_first=True)
    (tensor([[1, 0],
            [2, 3]]), tensor([1, 2]))
    """
    sizes = np.asarray(sequence.batch_sizes.tolist())
    steps, n = len(sizes), int(sizes[0])
    if total_length is not None:
        if total_length < steps:
            raise ValueError(
                f"pad_packed_sequence: expected total_length to be at least the length of the "
                f"longest sequence, {steps}, got {total_length}"
            )
        sizes = np.pad(sizes, (0, total_length - steps))
    order = np.arange(n)
    if sequence.unsorted_indices is not None:
        order = sequence.unsorted_indices.cpu().numpy()
    starts = np.cumsum(sizes) - sizes
    running = order < sizes[:, None]
    rows = np.where(running, starts[:, None] + order, 0)
    if batch_first:
        rows, running = rows.T, running.T
    padded = _rows(sequence.data, rows)
    hidden = as_tensor(~running.reshape(*rows.shape, *[1] * (padded.ndim - 2)))
    padded = indexing.masked_fill(
        padded, mask=hidden.to(padded.device).array, value=padded.dtype.type(padding_value)
    )
    return padded, as_tensor((sizes[:, None] > order).sum(0))


def pack_sequence(sequences: Sequence[Tensor], enforce_sorted: bool = True) -> PackedSequence:
    """Pack sequences (length, ...) of different lengths (torch.nn.utils.rnn.pack_sequence).

    >>> import dtrain
    >>> pack_sequence([dtrain.tensor([1, 2, 3]), dtrain.tensor([4, 5])]).data
    tensor([1, 4, 2, 5, 3])
    """
    lengths = [len(sequence) for sequence in sequences]
    return pack_padded_sequence(pad_sequence(sequences), lengths, enforce_sorted=enforce_sorted)


def unpack_sequence(packed_sequences: PackedSequence) -> list[Tensor]:
    """Unpack to a list of sequences (length, ...) (torch.nn.utils.rnn.unpack_sequence)."""
    return unpad_sequence(*pad_packed_sequence(packed_sequences, batch_first=True), True)
