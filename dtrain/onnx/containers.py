"""Lists, dicts and attributes of modules that a branch or loop may change, and what they held."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from dtrain.jit.surroundings import MODULE_TABLES
from dtrain.nn.module import Module
from dtrain.onnx.proto import Unsupported


class Containers:
    """What code can change besides its variables.

    Parameters
    ----------
    scope : the variables of the function that runs
    modules : the modules that it can reach
    """

    def __init__(self, scope: dict[str, Any], modules: Iterable[Module]):
        self._modules = list(modules)
        #: lists, dicts and sets
        self.found: list[Any] = []
        self._seen: set[int] = set()
        for name, value in scope.items():
            self._visit(name, value)
        for module in self._modules:
            for name, value in module.__dict__.items():
                if name not in MODULE_TABLES:
                    self._visit(f"{type(module).__name__}.{name}", value)
        self._attributes = self._current_attributes()

    def _visit(self, name: str, value: Any) -> None:
        if not isinstance(value, (list, tuple, dict, set)) or id(value) in self._seen:
            return
        self._seen.add(id(value))
        if not isinstance(value, tuple):
            self.found.append((name, value))
        for item in value.values() if isinstance(value, dict) else value:
            self._visit(name, item)

    def contents(self) -> list[Any]:
        """Copies of what each holds now."""
        return [type(container).copy(container) for _, container in self.found]

    def restore(self, contents: list[Any]) -> None:
        """Let each hold what it did."""
        for (_, container), content in zip(self.found, contents):
            if isinstance(container, list):
                container[:] = content
            else:
                container.clear()
                container.update(content)

    def _current_attributes(self) -> list[dict[str, Any]]:
        return [
            {name: value for name, value in module.__dict__.items() if name not in MODULE_TABLES}
            for module in self._modules
        ]

    def require_attributes(self, what: str) -> None:
        """Undo assignments to attributes of modules, and refuse them by name."""
        changed = ""
        for module, before, now in zip(self._modules, self._attributes, self._current_attributes()):
            for name in before.keys() | now.keys():
                if before.get(name, module) is not now.get(name, module):
                    changed = f"{type(module).__name__}.{name}"
                    if name in before:
                        object.__setattr__(module, name, before[name])
                    else:
                        module.__dict__.pop(name)
        if changed:
            raise Unsupported(f"{what} assigns the attribute {changed}")


def same_items(first: Any, second: Any) -> bool:
    """Whether two contents are the same objects."""
    if len(first) != len(second):
        return False
    if isinstance(first, dict):
        return all(key in second and item is second[key] for key, item in first.items())
    if isinstance(first, set):
        return bool(first == second)
    return all(a is b for a, b in zip(first, second))
