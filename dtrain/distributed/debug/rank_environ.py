"""torchrun's variables for ranks that are threads: RANK and LOCAL_RANK are another on each."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager

from dtrain.distributed import world
from dtrain.distributed.launcher_variables import torchrun_variables


class _RankEnviron(os._Environ):
    """The environment, whose RANK and LOCAL_RANK are those of the thread that reads them."""

    def __getitem__(self, key: str) -> str:
        rank = world.current_rank() if key in ("RANK", "LOCAL_RANK") else None
        return super().__getitem__(key) if rank is None else str(rank)


@contextmanager
def set_rank_environ(size: int) -> Iterator[None]:
    """Context manager: set torchrun's variables for `size` ranks that are threads."""
    variables = torchrun_variables(0, size, 0, size)
    before = {name: os.environ.get(name) for name in variables}
    os.environ.update(variables)
    kind = type(os.environ)
    os.environ.__class__ = _RankEnviron
    try:
        yield
    finally:
        os.environ.__class__ = kind
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value
