"""Parts of a state: files of the ranks that share a model, each with whole tensors of its own.

model-00001-of-00004.safetensors    also has the structure of the whole state
model-00002-of-00004.safetensors    tensors by name, like any safetensors file
...
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import NamedTuple

#: the end of the names of checkpoint files
SUFFIX = ".safetensors"
_PART = re.compile(r"(.+)-([0-9]{5})-of-([0-9]{5})")


class Part(NamedTuple):
    """Which tensors of a state a rank writes.

    Attributes
    ----------
    rank, ranks : the rank, and the number of ranks
    owners : the rank that writes an array, by the array's id; rank 0 writes the others
    """

    rank: int
    ranks: int
    owners: Mapping[int, int]

    def file_name(self, name: str) -> str:
        """The file of this part of the object `name`."""
        return f"{name}-{self.rank + 1:05d}-of-{self.ranks:05d}{SUFFIX}"


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
