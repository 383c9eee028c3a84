"""What the registration of a hook returns."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any


class HookHandle:
    """Removes a hook from the list it is in (torch.utils.hooks.RemovableHandle)."""

    def __init__(self, hooks: list[Callable[..., Any]], hook: Callable[..., Any]):
        self._hooks, self._hook = hooks, hook

    def remove(self) -> None:
        """Remove the hook, if it is still there."""
        if self._hook in self._hooks:
            self._hooks.remove(self._hook)

    def __enter__(self) -> HookHandle:
        return self

    def __exit__(self, *exception: object) -> None:
        self.remove()
