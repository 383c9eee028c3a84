"""The file and line that runs now, and whether it is the user's code or dtrain's."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

import numpy as np

_LIBRARY = str(Path(__file__).parents[1]) + os.sep

_NUMPY = str(Path(np.__file__).parent) + os.sep

#: What the names of programs from files begin with, where code has the name of its file.
PROGRAM_FILE = "<dtrain program "


def is_library_file(filename: str) -> bool:
    """Whether code is dtrain's own."""
    return filename.startswith((_LIBRARY, "<dtrain "))


#: Files of the library that hand a value on to whoever asks for it.
_HANDING_ON = tuple(
    _LIBRARY + path for path in ("jit/", "autograd/tensor.py", "autograd/tensor_data.py")
)


def library_reads() -> bool:
    """Whether it is dtrain's own code, such as a check of labels, that reads a value."""
    frame: Any = sys._getframe(1)
    while frame is not None and frame.f_code.co_filename.startswith(_HANDING_ON):
        frame = frame.f_back
    return frame is not None and frame.f_code.co_filename.startswith(_LIBRARY)


def find_place() -> str:
    """File and line of the user's code that runs now."""
    frame: Any = sys._getframe(1)
    last = ""
    while frame is not None:
        filename = frame.f_code.co_filename
        if not is_library_file(filename) and not filename.startswith(_NUMPY):
            return f"{filename}:{frame.f_lineno}"
        last = last or f"{filename}:{frame.f_lineno}"
        frame = frame.f_back
    return last
