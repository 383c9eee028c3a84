"""Parts of a state: files of the ranks that share a model, each with whole tensors of its own.

model-00001-of-00004.safetensors    also has the structure of the whole state
model-00002-of-00004.safetensors    tensors by name, like any safetensors file
...
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from dtrain.backend import Array

#: the end of the names of checkpoint files
SUFFIX = ".safetensors"
_PART = re.compile(r"(.+)-([0-9]{5})-of-([0-9]{5})")


class Part(NamedTuple):
    """Which tensors of a state a rank writes.

    Attributes
    ----------
    rank, ranks : the rank, and the number of ranks
    writers : the rank that writes an array, by the array's id; rank 0 writes the others
    """

    rank: int
    ranks: int
    writers: Mapping[int, int]

    def file_name(self, name: str) -> str:
        """The file of this part of the object `name`; one rank has no parts."""
        if self.ranks == 1:
            return name + SUFFIX
        return f"{name}-{self.rank + 1:05d}-of-{self.ranks:05d}{SUFFIX}"


def share_out(
    arrays: Sequence[Array], owners: Mapping[int, int | None], ranks: int
) -> dict[int, int]:
    """Which rank writes each array, by its id: every rank about as many bytes.

    Parameters
    ----------
    arrays : in the same order, and of the same shapes and dtypes, on all ranks
    owners : the rank that alone has an array, None if every rank has it, by id; rank 0 writes what
        is not in it
    """
    bytes_of, writers = [0] * ranks, {}
    for array in arrays:
        rank = owners.get(id(array), 0)
        if rank is not None:
            writers[id(array)] = rank
            bytes_of[rank] += array.nbytes
    for array in sorted(arrays, key=lambda array: -array.nbytes):
        if id(array) not in writers:
            rank = bytes_of.index(min(bytes_of))
            writers[id(array)] = rank
            bytes_of[rank] += array.nbytes
    return writers


def is_part_name(name: str) -> bool:
    """Whether an object of this name would have the file name of a part."""
    return _PART.fullmatch(name) is not None


def group_by_object(file_names: Iterable[str]) -> dict[str, list[str]]:
    """The files of each object, by its name; those of parts in the order of the ranks.

    Raises
    ------
    ValueError
        If a part is missing, or of another number of parts than the others.
    """
    grouped: dict[str, list[str]] = {}
    counts: dict[str, int] = {}
    for file_name in sorted(file_names):
        name = file_name.removesuffix(SUFFIX)
        if part := _PART.fullmatch(name):
            name = part[1]
            counts[name] = int(part[3])
        grouped.setdefault(name, []).append(file_name)
    for name, files in grouped.items():
        count = counts.get(name)
        expected = (
            [f"{name}{SUFFIX}"]
            if count is None
            else [Part(rank, count, {}).file_name(name) for rank in range(count)]
        )
        if files != expected:
            raise ValueError(f"lists {files} for {name}, expected {len(expected)} parts of it")
    return grouped
