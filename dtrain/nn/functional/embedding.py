"""embedding and embedding_bag: rows of a table by index, as functions."""

from __future__ import annotations

from typing import Any

from dtrain.autograd import Tensor
from dtrain.autograd.tensor import wrap
from dtrain.backend import Array, array_module
from dtrain.backend.dtypes import category
from dtrain.primitives import embedding as primitives, indexing


def embedding(
    input: Tensor,
    weight: Tensor,
    padding_idx: int | None = None,
    max_norm: float | None = None,
    norm_type: float = 2.0,
    scale_grad_by_freq: bool = False,
    sparse: bool = False,
) -> Tensor:
    """weight[input]: rows of a table by index (torch.nn.functional.embedding).

    Shape: input (*) of integers, weight (rows, d) to (*, d). The row `padding_idx` gets no
    gradient. `max_norm` first shortens longer rows (by the norm of order norm_type) in the table
    itself; `scale_grad_by_freq` divides a row's gradient by the number of its occurrences. The
    gradient is dense, also with `sparse`; `optim.SparseAdam` updates the rows that have one.
    """
    indices = _check_indices("embedding", input)
    if weight.ndim != 2:
        raise RuntimeError(f"embedding: expected a weight (rows, d), got {weight.shape}")
    rows = weight.shape[0]
    if padding_idx is not None and not -rows <= padding_idx < rows:
        raise ValueError(f"embedding: padding_idx={padding_idx} is no row of {rows}")
    if max_norm is not None:
        shorten(weight, indices, max_norm, norm_type)
    return primitives.embedding(
        weight, index=indices, padding_index=padding_idx, by_frequency=scale_grad_by_freq
    )


def _check_indices(name: str, input: Tensor) -> Array:
    if category(input.dtype) != 1:
        raise RuntimeError(f"{name}: expected integers as indices, got {input.dtype}")
    return input.array


def shorten(weight: Tensor, indices: Array, max_norm: float, norm_type: float) -> None:
    """Scale the rows at these indices, in place, to a norm of at most max_norm."""
    table = weight.array
    xp = array_module(table)
    rows = xp.unique(indices)
    lengths = wrap(table[rows]).norm(norm_type, 1).array
    scale = xp.where(lengths > max_norm, max_norm / (lengths + 1e-7), 1)
    table[rows] *= scale.astype(table.dtype)[:, None]
    weight._version[0] += 1


def embedding_bag(
    input: Tensor,
    weight: Tensor,
    offsets: Tensor | None = None,
    max_norm: float | None = None,
    norm_type: float = 2,
    scale_grad_by_freq: bool = False,
    mode: str = "mean",
    sparse: bool = False,
    per_sample_weights: Tensor | None = None,
    include_last_offset: bool = False,
    padding_idx: int | None = None,
) -> Tensor:
    """The sum, mean or maximum of the rows in each bag (torch.nn.functional.embedding_bag).

    input: (n, k), n bags of k indices; or (m,), with bag i beginning at offsets[i]. With
    `include_last_offset` the last offset is the end of the last bag. Bags skip `padding_idx`.
    Returns (n, d).
    """
    _check_bags(input, weight, offsets, mode, scale_grad_by_freq, per_sample_weights)
    indices = _check_indices("embedding_bag", input)
    xp = array_module(indices)
    if offsets is None:
        count, per_bag = indices.shape
        bag = xp.arange(count).repeat(per_bag)
    else:
        bag, count = _bags(offsets.array, indices, include_last_offset)
    scales = None if per_sample_weights is None else per_sample_weights.reshape(-1)
    indices = indices.reshape(-1)
    if max_norm is not None:
        shorten(weight, indices, max_norm, norm_type)
    if padding_idx is not None:
        kept = xp.flatnonzero(indices != padding_idx % weight.shape[0])
        indices, bag = indices[kept], bag[kept]
        scales = None if scales is None else scales[wrap(kept)]
    rows = primitives.embedding(weight, index=indices, by_frequency=scale_grad_by_freq)
    if mode == "max" and indices.size:
        chosen, is_empty = primitives.find_first_largest(rows.array, bag, count)
        largest = indexing.gather(rows, axis=0, index=chosen)
        return indexing.masked_fill(largest, mask=is_empty, value=0.0)
    if scales is not None:
        rows = rows * scales.unsqueeze(-1)
    sums = primitives.bag_sum(rows, bag=bag, count=count)
    if mode != "mean":
        return sums
    sizes = xp.maximum(xp.bincount(bag, minlength=count), 1)[:, None]
    return sums / wrap(sizes.astype(weight.dtype))


def _bags(offsets: Array, indices: Array, include_last: bool) -> tuple[Array, int]:
    """The bag of each index, and the number of bags."""
    if offsets.size and offsets[0] != 0:
        raise RuntimeError(f"embedding_bag: expected offsets from 0, got {offsets[0]} first")
    if include_last and not offsets.size:
        raise RuntimeError("embedding_bag: include_last_offset needs an offset")
    starts = offsets[:-1] if include_last else offsets
    if offsets.size and offsets[-1] > indices.size:
        raise RuntimeError(
            f"embedding_bag: expected offsets up to {indices.size}, the number of indices, "
            f"got {offsets[-1]}"
        )
    xp = array_module(indices)
    begun = xp.cumsum(xp.bincount(starts, minlength=indices.size + 1))[: indices.size]
    return begun - 1, starts.size


def _check_bags(
    input: Tensor,
    weight: Tensor,
    offsets: Tensor | None,
    mode: str,
    scale_grad_by_freq: bool,
    per_sample_weights: Tensor | None,
) -> None:
    def require(holds: Any, expected: str, got: Any, kind: type[Exception] = ValueError) -> None:
        if not holds:
            raise kind(f"embedding_bag: expected {expected}, got {got}")

    require(weight.ndim == 2, "weight (rows, d)", weight.shape)
    require(input.ndim in (1, 2), "input (n, k) or (m,)", input.shape)
    if input.ndim == 2:
        require(offsets is None, "no offsets for an input (n, k)", offsets)
    else:
        require(offsets is not None and offsets.ndim == 1, "offsets (n,)", offsets)
    require(mode in ("sum", "mean", "max"), "mode 'sum', 'mean' or 'max'", repr(mode))
    require(not scale_grad_by_freq or mode != "max", "no scale_grad_by_freq", "it with mode 'max'")
    if per_sample_weights is not None:
        shape = per_sample_weights.shape
        require(shape == input.shape, f"per_sample_weights {input.shape}", shape)
        require(mode == "sum", "per_sample_weights with mode 'sum'", mode, NotImplementedError)
