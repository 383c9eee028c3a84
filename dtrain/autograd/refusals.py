"""The errors of a backward pass that lacks a value."""

from __future__ import annotations

from typing import NoReturn


def refuse_freed(name: str) -> NoReturn:
    """Raise the error for a second backward pass through an operation."""
    raise RuntimeError(
        f"backward: the values saved by {name} were freed by an earlier backward "
        "pass; to go through this graph again, call backward(retain_graph=True) first"
    )


def refuse_modified(name: str, value: str, now: int, then: int) -> NoReturn:
    """Raise the error for a value that an operation saved and that was modified since."""
    raise RuntimeError(
        f"backward: {name} needs its `{value}`, of which "
        f"one was modified by an in-place operation after {name} had used it (it is "
        f"at version {now}, expected version {then}); write to a clone() instead"
    )
