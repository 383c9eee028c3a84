"""Sets variables of a module for the body of a `with` statement."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any


@contextlib.contextmanager
def set_temporarily(variables: dict[str, Any], **values: Any) -> Iterator[None]:
    """Context manager: set items of `variables`, a module's or an object's dict; restore them.

    >>> import types
    >>> module = types.SimpleNamespace(enabled=True)
    >>> with set_temporarily(vars(module), enabled=False):
    ...     module.enabled
    False
    """
    before = {name: variables[name] for name in values}
    variables.update(values)
    try:
        yield
    finally:
        variables.update(before)
