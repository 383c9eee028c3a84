"""Files of whole Python objects, such as modules: pickles, which can run any code when read."""

from __future__ import annotations

import pickle
from collections.abc import Mapping
from typing import Any, BinaryIO

from dtrain.autograd.tensor import Tensor
from dtrain.backend.nested import map_nested
from dtrain.errors import CheckpointError
from dtrain.nn import Module

_MAGIC = b"dtrain objects 1\n"


def holds_objects(state: Any) -> bool:
    """Whether a state has a module or an argparse.Namespace in it, which only a pickle can hold."""
    import argparse

    waiting, seen = [state], set()
    while waiting:
        value = waiting.pop()
        if isinstance(value, (Module, argparse.Namespace)):
            return True
        if isinstance(value, (Mapping, list, tuple)) and id(value) not in seen:
            seen.add(id(value))  # a container that holds itself is refused where it is written
            waiting += value.values() if isinstance(value, Mapping) else value
    return False


class ObjectWriter:
    """A state that is pickled and ready to be written, after a line that says so."""

    def __init__(self, state: Any):
        self._contents = pickle.dumps(state, protocol=4)

    def write(self, to: BinaryIO) -> None:
        """Write the whole file."""
        to.write(_MAGIC + self._contents)


def is_object_file(beginning: bytes) -> bool:
    """Whether a file that begins so was written by `ObjectWriter`."""
    return beginning.startswith(_MAGIC)


def read_objects(file: BinaryIO, name: str, map_location: Any, weights_only: bool) -> Any:
    """Read what `ObjectWriter` wrote; this runs the code that the file asks for.

    Raises
    ------
    CheckpointError
        If `weights_only`, or the file is cut.
    """
    if weights_only:
        raise CheckpointError(
            f"{name}: holds Python objects (a module or options), and reading them can run any "
            "code: give weights_only=False if you trust who wrote it, or save model.state_dict()"
        )
    file.seek(len(_MAGIC))
    try:
        state = pickle.load(file)
    except (pickle.UnpicklingError, EOFError) as reason:
        raise CheckpointError(f"{name}: the file was cut or changed: {reason}") from reason
    if map_location is None:
        return state
    return map_nested(state, (Module, Tensor), lambda x: x.to(map_location))
