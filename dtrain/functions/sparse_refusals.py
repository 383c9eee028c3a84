"""The error of operations that sparse tensors do not have."""

from __future__ import annotations

import sys
from types import FrameType
from typing import NoReturn

from dtrain.autograd.tensor import Tensor


def refuse(name: str) -> NoReturn:
    """Say that an operation has no form for sparse tensors."""
    raise RuntimeError(
        f"{name}: not supported for sparse tensors: use to_dense(), or compute with values()"
    )


def find_operation(frame: FrameType) -> str:
    """The name of the operation that reads an array: the innermost that a user can call.

    Primitives and functions of autocast's lists are called by generated code, whose file is named
    after them; helper functions below a public function are not named.
    """
    caller: FrameType | None = frame
    while caller is not None and _is_own(caller):
        code = caller.f_code
        if code.co_filename.startswith("<dtrain "):
            return code.co_filename.rstrip(">").rsplit(" ", 1)[-1]
        if hasattr(Tensor, code.co_name) or hasattr(_nn_functional(), code.co_name):
            return code.co_name
        caller = caller.f_back
    return frame.f_code.co_name


def _is_own(frame: FrameType) -> bool:
    return str(frame.f_globals.get("__name__", "")).startswith("dtrain.") or (
        frame.f_code.co_filename.startswith("<dtrain ")
    )


def _nn_functional() -> object:
    return sys.modules.get("dtrain.nn.functional")
