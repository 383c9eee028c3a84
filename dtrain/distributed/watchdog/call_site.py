"""Finds the line of the user's program that a thread or a frame executes: `train.py:31 in main()`.

A frame is the user's if it belongs neither to dtrain nor to an installed library.
"""

from __future__ import annotations

import os
import sys
import sysconfig
from types import FrameType

_DTRAIN = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__)))) + os.sep
_LIBRARIES = tuple(
    sysconfig.get_path(name) + os.sep for name in ("stdlib", "platstdlib", "purelib", "platlib")
)


def thread_call_site(thread_id: int) -> str:
    """The innermost user line of a running thread, given by its `threading.get_ident()`."""
    return find_call_site(sys._current_frames().get(thread_id))


def find_call_site(frame: FrameType | None) -> str:
    """The innermost user line at or above `frame`; a library's line if there is no user frame."""
    in_library = ""
    while frame is not None:
        if is_user_frame(frame):
            return _format_line(frame)
        if not in_library and not frame.f_code.co_filename.startswith((_DTRAIN, "<frozen ")):
            in_library = _format_line(frame)
        frame = frame.f_back
    return in_library or "an unknown line"


def is_user_frame(frame: FrameType) -> bool:
    """Whether a frame belongs neither to dtrain nor to an installed library."""
    return not frame.f_code.co_filename.startswith((_DTRAIN, "<frozen ", *_LIBRARIES))


def _format_line(frame: FrameType) -> str:
    path, name = frame.f_code.co_filename, frame.f_code.co_name
    relative = os.path.relpath(path) if os.path.isabs(path) else path
    shown = path if relative.startswith(os.pardir) else relative
    return f"{shown}:{frame.f_lineno}" + ("" if name.startswith("<") else f" in {name}()")
