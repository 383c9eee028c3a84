"""Functions from source text that is made for them."""

from __future__ import annotations

import functools
import linecache
from collections.abc import Callable
from types import FunctionType
from typing import Any

#: A function until its first call, which replaces its code.
_UNWRITTEN = compile(
    """\
def unwritten(*args, **kwargs):
    write_out()
    return unwritten(*args, **kwargs)
""",
    "<dtrain unwritten>",
    "exec",
)


def make_function(text: str, filename: str, namespace: dict[str, Any]) -> FunctionType:
    """The one function that a text defines, with its globals; tracebacks show its lines."""
    linecache.cache[filename] = len(text), None, text.splitlines(True), filename
    made: dict[str, FunctionType] = {}
    exec(compile(text, filename, "exec"), namespace, made)
    (function,) = made.values()
    return function


def make_at_first_call(
    model: Callable[..., Any], namespace: dict[str, Any], make: Callable[[], FunctionType]
) -> Any:
    """A function with the name and docstring of `model`, and the code of what `make()` returns.

    `make`, which uses the same globals, is called at the first call: to compile the text of all
    operations is a fifth of the import.
    """

    def write_out() -> None:
        made = make()
        function.__defaults__ = made.__defaults__  # first: another thread may be calling
        function.__kwdefaults__ = made.__kwdefaults__
        function.__code__ = made.__code__

    namespace["write_out"] = write_out
    exec(_UNWRITTEN, namespace)
    function = functools.update_wrapper(namespace["unwritten"], model)
    return function
