"""The options of a DataLoader, checked before anything is loaded."""

from __future__ import annotations

import operator
from collections.abc import Mapping
from typing import Any

from dtrain.data.dataset import IterableDataset
from dtrain.distributed import world


def require_at_least_1(name: str, value: Any) -> int:
    try:
        number = operator.index(value)
    except TypeError:
        number = 0
    if number < 1 or isinstance(value, bool):
        raise ValueError(f"DataLoader: {name} must be an integer >= 1, got {value!r}")
    return number


def require_microbatches(microbatches: Any, ranks: int) -> int:
    """The number of microbatches of a step, of which each rank runs one or more."""
    number = require_at_least_1("microbatches", microbatches)
    if number < ranks:
        raise ValueError(
            f"DataLoader: microbatches must be >= the number of ranks, got microbatches="
            f"{number} on {ranks} ranks: start at most {number} ranks, or raise microbatches"
        )
    return number


def require_one_microbatch(microbatches: int, ranks: int) -> None:
    """Refuse the loop over batches where a rank has several of them in a step."""
    if microbatches != ranks:
        raise RuntimeError(
            f"DataLoader: with {microbatches} microbatches on {ranks} ranks a rank has several "
            "batches a step: write `for step in loader.steps():` and, inside it, "
            "`for x, y in step:`"
        )


def exhausted_error(dataset: Any) -> RuntimeError:
    """The error for an iterator that has been read to its end, where an epoch begins."""
    return RuntimeError(
        f"DataLoader: the {type(dataset).__name__} was read to its end in the first epoch and has "
        "no samples for another: give an IterableDataset, whose __iter__ begins anew"
    )


def other_parts_error(expected: int, parts: int) -> ValueError:
    """The error for a stream that would come in another order than where its state was taken."""
    return ValueError(
        f"DataLoader: the state is of a stream that {expected} workers read in parts, here it has "
        f"{parts}: its samples would come in another order. Give num_workers={expected}, or begin "
        "the epoch anew"
    )


def require_steps(is_unsharded: bool) -> None:
    """Refuse the loop over steps where the loader gives each rank its own samples."""
    if is_unsharded and world.world_size() > 1:
        raise RuntimeError(
            "DataLoader.steps(): after init_process_group, or with a DistributedSampler, the "
            "loader gives each rank its own samples: write `for x, y in loader`, or give "
            "microbatches= and no DistributedSampler"
        )


def check_sharded(elastic: bool, in_batches: bool) -> None:
    """Refuse options with which ranks cannot bring samples of their own (`sharded=True`)."""
    if elastic:
        raise ValueError(
            "DataLoader: sharded=True under --elastic: no other rank could load the samples of "
            "a failed one; let the loader shard the data, or run without --elastic"
        )
    if in_batches:
        raise ValueError(
            "DataLoader: sharded=True takes a sampler, a stream or a dataset, not a "
            "batch_sampler: give the sampler and batch_size"
        )


def check_position(state: Mapping[str, Any]) -> None:
    """Refuse a loader's state without a position."""
    optional = ("steps_before", "stream_parts")  # older states lack them
    for key in ("epoch", "next_step", *optional):
        number = state.get(key, 0) if key in optional else state[key]
        if isinstance(number, bool) or not hasattr(number, "__index__") or number < 0:
            raise ValueError(f"DataLoader: the state has {key}={number!r}, expected 0 or more")


def is_stream(dataset: Any) -> bool:
    """Whether the dataset is iterated over, not indexed: generators and foreign streams, too."""
    indexed = hasattr(dataset, "__getitem__") and hasattr(dataset, "__len__")
    return isinstance(dataset, IterableDataset) or (hasattr(dataset, "__iter__") and not indexed)


def check_order(
    dataset: Any, shuffle: bool | None, sampler: Any, in_batches: bool, sized: bool
) -> None:
    """Refuse options that contradict each other about the samples' order."""
    if is_stream(dataset):
        if shuffle or sampler is not None or in_batches:
            raise ValueError(
                "DataLoader: a stream has its own order: expected no shuffle, sampler or "
                f"batch_sampler for {type(dataset).__name__}"
            )
    elif sampler is not None and shuffle:
        raise ValueError("DataLoader: sampler and shuffle are mutually exclusive: drop one")
    elif in_batches and (sized or shuffle or sampler is not None):
        raise ValueError(
            "DataLoader: batch_sampler is mutually exclusive with batch_size, shuffle, sampler "
            "and drop_last"
        )
