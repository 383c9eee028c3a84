"""Where in the user's program a thread is: `train.py:31 in main()`."""

from __future__ import annotations

import os
import sys
import sysconfig
from types import FrameType

_DTRAIN = os.path.dirname(os.path.dirname(os.path.abspath(__file__))) + os.sep
_LIBRARIES = tuple(
    sysconfig.get_path(name) + os.sep for name in ("stdlib", "platstdlib", "purelib", "platlib")
)


def call_site(thread: int) -> str:
    """The innermost line of a thread that is neither dtrain's nor a library's."""
    return site_of(sys._current_frames().get(thread))


def site_of(frame: FrameType | None) -> str:
    """The same, from a frame on outwards."""
    in_library = ""
    while frame is not None:
        if in_program(frame):
            return _line(frame)
        if not in_library and not frame.f_code.co_filename.startswith((_DTRAIN, "<frozen ")):
            in_library = _line(frame)
        frame = frame.f_back
    return in_library or "an unknown line"


def in_program(frame: FrameType) -> bool:
    """Whether a frame is neither dtrain's nor a library's."""
    return not frame.f_code.co_filename.startswith((_DTRAIN, "<frozen ", *_LIBRARIES))


def _line(frame: FrameType) -> str:
    path, name = frame.f_code.co_filename, frame.f_code.co_name
    near = os.path.relpath(path) if os.path.isabs(path) else path
    shown = path if near.startswith(os.pardir) else near
    return f"{shown}:{frame.f_lineno}" + ("" if name.startswith("<") else f" in {name}()")
