"""Modules made of modules."""

from __future__ import annotations

from collections.abc import ItemsView, Iterable, Iterator, KeysView, Mapping, ValuesView
from itertools import groupby
from typing import Any

from dtrain.nn.module import Module


class _Listed(Module):
    """Modules by position."""

    def __len__(self) -> int:
        return len(self._modules)

    def __iter__(self) -> Iterator[Module]:
        return iter(self._modules.values())

    def __getitem__(self, index: int | slice) -> Any:
        modules = list(self._modules.values())
        if isinstance(index, slice):
            return self._of(modules[index])
        return modules[index]

    def __setitem__(self, index: int, module: Module) -> None:
        self._modules[list(self._modules)[index]] = module

    def append(self, module: Module) -> Any:
        """Add a module at the end; returns itself."""
        self.add_module(str(len(self)), module)
        return self

    @classmethod
    def _of(cls, modules: list[Module]) -> Any:
        raise NotImplementedError


class Sequential(_Listed):
    """Modules one after another (torch.nn.Sequential).

    >>> import dtrain
    >>> Sequential(dtrain.nn.Linear(2, 3), dtrain.nn.ReLU())
    Sequential(
      (0): Linear(in_features=2, out_features=3, bias=True)
      (1): ReLU()
    )
    """

    def __init__(self, *modules: Any):
        super().__init__()
        named = modules[0].items() if len(modules) == 1 and isinstance(modules[0], dict) else None
        for name, module in named or ((str(i), module) for i, module in enumerate(modules)):
            self.add_module(name, module)

    @classmethod
    def _of(cls, modules: list[Module]) -> Sequential:
        return cls(*modules)

    def forward(self, x: Any) -> Any:
        for module in self:
            x = module(x)
        return x


class ModuleList(_Listed):
    """A list of modules (torch.nn.ModuleList)."""

    def __init__(self, modules: Iterable[Module] = ()):
        super().__init__()
        self.extend(modules)

    @classmethod
    def _of(cls, modules: list[Module]) -> ModuleList:
        return cls(modules)

    def extend(self, modules: Iterable[Module]) -> ModuleList:
        """Add modules at the end; returns itself."""
        for module in modules:
            self.append(module)
        return self

    def _child_reprs(self) -> list[tuple[str, str]]:
        """Neighbours that look alike are shown once, as PyTorch does."""
        shown = []
        start = 0
        for text, alike in groupby(map(repr, self)):
            count = len(list(alike))
            last = start + count - 1
            shown.append(
                (f"{start}-{last}", f"{count} x {text}") if count > 1 else (f"{start}", text)
            )
            start += count
        return shown


class ModuleDict(Module):
    """Modules by name (torch.nn.ModuleDict).

    >>> import dtrain
    >>> heads = ModuleDict({"a": dtrain.nn.Linear(2, 1), "b": dtrain.nn.Linear(2, 3)})
    >>> heads["b"](dtrain.ones(1, 2)).shape
    dtrain.Size([1, 3])
    """

    def __init__(self, modules: Mapping[str, Module] | Iterable[tuple[str, Module]] = ()):
        super().__init__()
        self.update(modules)

    def update(self, modules: Mapping[str, Module] | Iterable[tuple[str, Module]]) -> None:
        """Add modules, or replace those of the same names."""
        for name, module in modules.items() if isinstance(modules, Mapping) else modules:
            self[name] = module

    def __getitem__(self, name: str) -> Module:
        return self._modules[name]

    def __setitem__(self, name: str, module: Module) -> None:
        self.add_module(name, module)

    def __delitem__(self, name: str) -> None:
        del self._modules[name]

    def __contains__(self, name: str) -> bool:
        return name in self._modules

    def __len__(self) -> int:
        return len(self._modules)

    def __iter__(self) -> Iterator[str]:
        return iter(self._modules)

    def keys(self) -> KeysView[str]:
        """The names."""
        return self._modules.keys()

    def values(self) -> ValuesView[Module]:
        """The modules."""
        return self._modules.values()

    def items(self) -> ItemsView[str, Module]:
        """The names and modules."""
        return self._modules.items()
