"""Finds the line of the user's program that a thread or a frame executes: `train.py:31 in main()`.

A line is the user's if it belongs neither to dtrain nor to an installed library.
"""

from __future__ import annotations

import codecs
import faulthandler
import os
import re
import sysconfig
import tempfile
from collections.abc import Iterable, Iterator
from types import FrameType
from typing import NamedTuple

_DTRAIN = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__)))) + os.sep
_LIBRARIES = tuple(
    sysconfig.get_path(name) + os.sep for name in ("stdlib", "platstdlib", "purelib", "platlib")
)
#: of a line of faulthandler's, which writes other characters than ASCII as escapes
_LINE = re.compile(r'  File "(.*)", line (\d+) in (.*)')
_UNKNOWN = "an unknown line"
#: to list a thread: CPython 3.14 ends the list at a thread that ends at this moment
_ATTEMPTS = 100
_ESCAPE = re.compile(r"\\(x[0-9a-f]{2}|u[0-9a-f]{4}|U[0-9a-f]{8})")


class _Line(NamedTuple):
    """A line of a program, and the function that it is in."""

    path: str
    number: int
    function: str

    def is_in_dtrain(self) -> bool:
        return self.path.startswith((_DTRAIN, "<frozen "))

    def is_users(self) -> bool:
        return not self.is_in_dtrain() and not self.path.startswith(_LIBRARIES)

    def __str__(self) -> str:
        relative = os.path.relpath(self.path) if os.path.isabs(self.path) else self.path
        shown = self.path if relative.startswith(os.pardir) else relative
        function = "" if self.function.startswith("<") else f" in {self.function}()"
        return f"{shown}:{self.number}{function}"


def thread_call_site(thread_id: int) -> str:
    """The innermost user line of a running thread, given by its `threading.get_ident()`.

    faulthandler allocates nothing. `sys._current_frames` does, under the interpreter's lock on the
    list of threads; in Python before 3.12 garbage may be collected then, and if a destructor
    releases the GIL to a thread that ends, the process hangs.
    """
    for _ in range(_ATTEMPTS):
        with tempfile.TemporaryFile() as file:
            faulthandler.dump_traceback(file, all_threads=True)
            file.seek(0)
            stacks = file.read().decode(errors="replace")
        # the last of its number: a thread about to start is listed with its parent's, before it
        _, found, stack = stacks.rpartition(f" 0x{thread_id:016x} ")
        if found:
            return _find_user_line(_parse_stack(stack.partition("\n\n")[0]))
    return _UNKNOWN


def find_call_site(frame: FrameType | None) -> str:
    """The innermost user line at or above `frame`; a library's line if there is no user line."""
    return _find_user_line(_walk(frame))


def is_user_frame(frame: FrameType) -> bool:
    """Whether a frame belongs neither to dtrain nor to an installed library."""
    return _line_of(frame).is_users()


def _find_user_line(lines: Iterable[_Line]) -> str:
    """The first user line; else the first of a library."""
    in_library = ""
    for line in lines:
        if line.is_users():
            return str(line)
        if not in_library and not line.is_in_dtrain():
            in_library = str(line)
    return in_library or _UNKNOWN


def _walk(frame: FrameType | None) -> Iterator[_Line]:
    while frame is not None:
        yield _line_of(frame)
        frame = frame.f_back


def _line_of(frame: FrameType) -> _Line:
    return _Line(frame.f_code.co_filename, frame.f_lineno, frame.f_code.co_name)


def _parse_stack(text: str) -> Iterator[_Line]:
    for path, number, function in _LINE.findall(text):
        yield _Line(_unescape(path), int(number), _unescape(function))


def _unescape(text: str) -> str:
    return _ESCAPE.sub(lambda match: codecs.decode(match[0], "unicode_escape"), text)
