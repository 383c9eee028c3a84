"""Memory in buckets into which a backward pass writes whole gradients."""

from __future__ import annotations

from collections.abc import Container, Sequence
from typing import Any

from dtrain.backend import Array


def find_memory(
    parents: Sequence[Any], leaf_uses: dict[int, int], pending: Container[int]
) -> list[Array | None]:
    """For each parent the memory for its whole gradient, if it is a leaf that has none yet.

    leaf_uses : how often the backward pass computes a gradient of each leaf, by id
    pending : the ids of those of which it has computed one
    """
    memory: list[Array | None] = [None] * len(parents)
    last, places = None, None
    for index, leaf in enumerate(parents):
        uses = leaf_uses.get(id(leaf))
        if uses is None:
            continue
        if leaf.hooks or leaf._after_accumulate:  # they may change the gradients of others
            return [None] * len(parents)
        bucket, has_grad = leaf._bucket, leaf._grad is not None or id(leaf) in pending
        if uses == 1 and bucket is not None and not has_grad and leaf._requires_grad:
            if bucket is not last:
                last, places = bucket, bucket.memory_for_grads()
            if places is not None:
                memory[index] = places[leaf._bucket_index]
    return memory
