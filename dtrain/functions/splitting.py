"""PyTorch's signatures of functions that split a tensor into views."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import accumulate, pairwise
from typing import Any

from dtrain.autograd.tensor import Tensor
from dtrain.backend.dtypes import int64
from dtrain.functions import subscripts
from dtrain.functions.operands import normalize_dim
from dtrain.functions.shapes import narrow


def _length(name: str, input: Tensor, dim: int) -> int:
    if not input.ndim:
        raise RuntimeError(f"{name}: expected at least one dimension, got a tensor of shape ()")
    return input.shape[normalize_dim(dim, input.ndim)]


def split(tensor: Tensor, split_size_or_sections: Any, dim: int = 0) -> tuple[Tensor, ...]:
    """Split along a dimension into parts of one size, or of the sizes of a list (torch.split)."""
    total, size = _length("split", tensor, dim), split_size_or_sections
    if not isinstance(size, int):
        return split_with_sizes(tensor, size, dim)
    if size < (total > 0):
        raise RuntimeError(f"split: expected a size above 0, got {size}")
    whole, rest = divmod(total, size) if size else (0, 0)
    return split_with_sizes(tensor, [size] * whole + [rest] * (rest > 0) or [0], dim)


def split_with_sizes(input: Tensor, split_sizes: Sequence[int], dim: int = 0) -> tuple[Tensor, ...]:
    """Split along a dimension into parts of the given sizes (torch.split_with_sizes)."""
    total = _length("split", input, dim)
    if sum(split_sizes) != total or min(split_sizes, default=0) < 0:
        raise RuntimeError(
            f"split: expected sizes that add up to {total}, none below 0, got {list(split_sizes)}"
        )
    lead = (slice(None),) * normalize_dim(dim, input.ndim)
    bounds = pairwise(accumulate(split_sizes, initial=0))
    return tuple([subscripts.getitem(input, (*lead, slice(*part))) for part in bounds])


def chunk(input: Tensor, chunks: int, dim: int = 0) -> tuple[Tensor, ...]:
    """Split into at most `chunks` parts of equal size; the last may be shorter (torch.chunk)."""
    total = _length("chunk", input, dim)
    if chunks < 1:
        raise RuntimeError(f"chunk: expected chunks above 0, got {chunks}")
    if not total:
        return split_with_sizes(input, [0] * chunks, dim)
    return split(input, -(-total // chunks), dim)


def tensor_split(
    input: Tensor,
    indices_or_sections: Any = None,
    dim: int = 0,
    *,
    indices: Any = None,
    sections: Any = None,
    tensor_indices_or_sections: Any = None,
) -> tuple[Tensor, ...]:
    """Split into n parts, of which the first may be longer, or at indices (torch.tensor_split)."""
    total = _length("tensor_split", input, dim)
    cuts = _one_of(indices_or_sections, indices, sections, tensor_indices_or_sections)
    if isinstance(cuts, Tensor):
        if cuts.dtype != int64 or cuts.ndim > 1:
            raise RuntimeError(f"tensor_split: expected a vector of int64 or one, got {cuts!r}")
        cuts = cuts.tolist()
    if isinstance(cuts, int):
        if cuts < 1:
            raise RuntimeError(f"tensor_split: expected a number of parts above 0, got {cuts}")
        size, longer = divmod(total, cuts)
        cuts = [size * i + min(i, longer) for i in range(1, cuts)]
    elif not isinstance(cuts, Sequence):
        raise TypeError(f"tensor_split: expected indices or a number of parts, got {cuts!r}")
    positions = [slice(cut).indices(total)[1] for cut in cuts]
    bounds = zip([0, *positions], [*positions, total])
    return tuple(narrow(input, dim, a, max(b - a, 0)) for a, b in bounds)


def _split_along(name: str, input: Tensor, dim: int, least: int, cuts: Any) -> tuple[Tensor, ...]:
    if input.ndim < least:
        raise RuntimeError(f"{name}: expected {least} dimensions or more, got {input.shape}")
    if isinstance(cuts, int) and (not cuts or input.shape[dim] % cuts):
        raise RuntimeError(
            f"{name}: dimension {dim} of size {input.shape[dim]} is not divisible by {cuts}"
        )
    return tensor_split(input, cuts, dim)


def hsplit(
    input: Tensor, indices_or_sections: Any = None, *, indices: Any = None, sections: Any = None
) -> tuple[Tensor, ...]:
    """Split the columns, or a vector, into equal parts or at indices (torch.hsplit)."""
    cuts = _one_of(indices_or_sections, indices, sections)
    return _split_along("hsplit", input, 1 if input.ndim > 1 else 0, 1, cuts)


def vsplit(
    input: Tensor, indices_or_sections: Any = None, *, indices: Any = None, sections: Any = None
) -> tuple[Tensor, ...]:
    """Split the rows into equal parts or at indices (torch.vsplit)."""
    return _split_along("vsplit", input, 0, 2, _one_of(indices_or_sections, indices, sections))


def dsplit(
    input: Tensor, indices_or_sections: Any = None, *, indices: Any = None, sections: Any = None
) -> tuple[Tensor, ...]:
    """Split dimension 2 into equal parts or at indices (torch.dsplit)."""
    return _split_along("dsplit", input, 2, 3, _one_of(indices_or_sections, indices, sections))


def _one_of(*given: Any) -> Any:
    return next((cuts for cuts in given if cuts is not None), None)


def unbind(input: Tensor, dim: int = 0) -> tuple[Tensor, ...]:
    """Remove a dimension: the tuple of its slices (torch.unbind)."""
    axis = normalize_dim(dim, input.ndim)
    if not input.ndim:
        raise IndexError("unbind: a tensor of shape () has no dimension")
    lead = (slice(None),) * axis
    return tuple(subscripts.getitem(input, (*lead, i)) for i in range(input.shape[axis]))
