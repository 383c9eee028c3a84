"""Named ranges and marks for NVIDIA's profilers (torch.cuda.nvtx)."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

from dtrain.backend.device import module_on


def _find_nvtx() -> Any:
    module_on("cuda")
    from cupy.cuda import nvtx

    return nvtx


def range_push(msg: str) -> None:
    """Begin a range with a name (torch.cuda.nvtx.range_push)."""
    _find_nvtx().RangePush(msg)


def range_pop() -> None:
    """End the innermost range (torch.cuda.nvtx.range_pop)."""
    _find_nvtx().RangePop()


def mark(msg: str) -> None:
    """Record a named mark at this time (torch.cuda.nvtx.mark)."""
    _find_nvtx().Mark(msg)


@contextlib.contextmanager
def range(msg: str, *args: Any, **kwargs: Any) -> Iterator[None]:
    """Context manager: a range around its body, named msg.format(...) (torch.cuda.nvtx.range)."""
    range_push(msg.format(*args, **kwargs))
    try:
        yield
    finally:
        range_pop()
