"""Sequential, ModuleList and ModuleDict: containers of modules."""

from __future__ import annotations

import operator
from collections.abc import ItemsView, Iterable, Iterator, KeysView, Mapping, ValuesView
from itertools import groupby, pairwise
from typing import TYPE_CHECKING, Any

from dtrain.nn.batch_norm import normalize_with_relu
from dtrain.nn.linear_activation import apply_linear, can_join
from dtrain.nn.module import Module

if TYPE_CHECKING:
    from typing_extensions import Self


class _Listed(Module):
    """Modules by position; the names are the positions unless names were given."""

    def __len__(self) -> int:
        return len(self._modules)

    def __iter__(self) -> Iterator[Module]:
        return iter(self._modules.values())

    def _name_at(self, index: Any) -> str:
        index, count = operator.index(index), len(self)
        if not -count <= index < count:
            raise IndexError(f"index {index} is out of range for {count} modules")
        return list(self._modules)[index]

    def __getitem__(self, index: int | slice) -> Any:
        if isinstance(index, slice):
            return self._from_named(dict(list(self._modules.items())[index]))
        return self._modules[self._name_at(index)]

    def __setitem__(self, index: int, module: Module) -> None:
        setattr(self, self._name_at(index), module)

    def __delitem__(self, index: int | slice) -> None:
        names = list(self._modules)[index] if isinstance(index, slice) else [self._name_at(index)]
        for name in names:
            del self._modules[name]
        self._set_modules(list(self))

    def _set_modules(self, modules: Iterable[Any]) -> None:
        """Replace all modules by these, named by position."""
        modules = list(modules)
        self._modules.clear()
        self._modules.update((str(i), module) for i, module in enumerate(modules))

    def append(self, module: Module) -> Self:
        """Add a module at the end; returns self."""
        self.add_module(str(len(self)), module)
        return self

    def extend(self, modules: Iterable[Module]) -> Self:
        """Add modules at the end; returns self."""
        if not isinstance(modules, Iterable):
            raise TypeError(
                f"{type(self).__name__}.extend: expected modules to iterate over, got "
                f"{type(modules).__name__}"
            )
        for module in list(modules):
            self.append(module)
        return self

    def insert(self, index: int, module: Module) -> Self:
        """Add a module before the one at a position; returns self."""
        if not isinstance(module, Module):
            raise AssertionError(f"insert: expected a Module, got {type(module).__name__}")
        if not -len(self) <= index <= len(self):
            raise IndexError(f"Index out of range: {index}, of {len(self)} modules")
        modules = list(self)
        modules.insert(index, module)
        self._set_modules(modules)
        return self

    def pop(self, key: int | slice) -> Any:
        """Remove the module at a position; returns it."""
        popped = self[key]
        del self[key]
        return popped

    @classmethod
    def _from_named(cls, modules: dict[str, Module]) -> Any:
        raise NotImplementedError


class Sequential(_Listed):
    """Call modules one after another, each with the output of the previous (torch.nn.Sequential).

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
    def _from_named(cls, modules: dict[str, Module]) -> Sequential:
        return cls(modules)

    def __add__(self, other: Any) -> Sequential:
        return Sequential(*self).__iadd__(other)

    def __iadd__(self, other: Any) -> Self:
        if not isinstance(other, Sequential):
            raise ValueError(f"Sequential: expected a Sequential to add, got {type(other)}")
        return self.extend(other)

    def __mul__(self, count: int) -> Sequential:
        return Sequential(*self).__imul__(count)

    __rmul__ = __mul__

    def __imul__(self, count: int) -> Self:
        if not isinstance(count, int):
            raise TypeError(f"Sequential: expected an int to multiply by, got {type(count)}")
        if count < 1:
            raise ValueError(f"Sequential: expected a positive number of times, got {count}")
        self._set_modules(list(self) * count)
        return self

    def forward(self, input: Any) -> Any:
        is_done = False  # as part of the previous module
        for module, following in pairwise([*self, None]):
            if is_done:
                is_done = False
            elif can_join(module, following, input):
                input, is_done = apply_linear(module, following, input), True
            elif (out := normalize_with_relu(module, following, input)) is not None:
                input, is_done = out, True
            else:
                input = module(input)
        return input


class ModuleList(_Listed):
    """A list of modules, which has no forward of its own (torch.nn.ModuleList)."""

    def __init__(self, modules: Iterable[Module] | None = None):
        super().__init__()
        self.extend(modules or ())

    @classmethod
    def _from_named(cls, modules: dict[str, Module]) -> ModuleList:
        return cls(modules.values())

    def __add__(self, other: Iterable[Module]) -> ModuleList:
        return ModuleList([*self, *other])

    def __iadd__(self, other: Iterable[Module]) -> Self:
        return self.extend(other)

    def _child_reprs(self) -> list[tuple[str, str]]:
        """Equal neighbours are shown once with their count, as in PyTorch."""
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
    """A dict of modules by name, which has no forward of its own (torch.nn.ModuleDict).

    >>> import dtrain
    >>> heads = ModuleDict({"a": dtrain.nn.Linear(2, 1), "b": dtrain.nn.Linear(2, 3)})
    >>> heads["b"](dtrain.ones(1, 2)).shape
    dtrain.Size([1, 3])
    """

    def __init__(self, modules: Mapping[str, Module] | Iterable[Any] | None = None):
        super().__init__()
        self.update(() if modules is None else modules)

    def update(self, modules: Mapping[str, Module] | Iterable[Any]) -> None:
        """Add or replace modules, from a mapping or (name, module) pairs."""
        if not isinstance(modules, Iterable):
            raise TypeError(
                "ModuleDict.update: expected a mapping or pairs of names and modules, got "
                f"{type(modules).__name__}"
            )
        mapping = isinstance(modules, (Mapping, ModuleDict))
        for pair in modules.items() if mapping else modules:  # type: ignore[union-attr]
            if not isinstance(pair, Iterable):
                raise TypeError(f"ModuleDict.update: expected pairs, got {type(pair).__name__}")
            if len(parts := list(pair)) != 2:
                raise ValueError(f"ModuleDict.update: expected pairs, got {len(parts)} values")
            self[parts[0]] = parts[1]

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

    def pop(self, key: str) -> Module:
        """Remove the module of this name; returns it."""
        return self._modules.pop(key)

    def clear(self) -> None:
        """Remove all modules."""
        self._modules.clear()

    def keys(self) -> KeysView[str]:
        """The names."""
        return self._modules.keys()

    def values(self) -> ValuesView[Module]:
        """The modules."""
        return self._modules.values()

    def items(self) -> ItemsView[str, Module]:
        """The names and modules."""
        return self._modules.items()
