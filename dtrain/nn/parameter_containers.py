"""Lists and dictionaries of parameters."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable, Iterator, KeysView, Mapping
from operator import index
from typing import Any

from dtrain.autograd import Tensor
from dtrain.nn.module import Module
from dtrain.nn.parameter import Parameter


def _trained(value: Any) -> Any:
    """A tensor as a parameter; anything else as it is."""
    return Parameter(value) if type(value) is Tensor else value


def _text(value: Any) -> str:
    if not isinstance(value, Tensor):
        return f"Object of type: {type(value).__name__}"
    kind = "Parameter" if isinstance(value, Parameter) else "Tensor"
    where = f" ({value.device})" if value.is_cuda else ""
    size = "x".join(map(str, value.shape))
    return f"{kind} containing: [{value.dtype} of size {size}{where}]"


class ParameterList(Module):
    """A list of parameters; other values are kept too (torch.nn.ParameterList).

    >>> import dtrain
    >>> weights = ParameterList([dtrain.zeros(2), dtrain.zeros(3)])
    >>> [name for name, _ in weights.named_parameters()]
    ['0', '1']
    """

    def __init__(self, values: Iterable[Any] | None = None):
        super().__init__()
        self._size = 0
        self.extend(() if values is None else values)

    def _name(self, place: int) -> str:
        place = index(place)
        if not -self._size <= place < self._size:
            raise IndexError(f"index {place} is out of range for {self._size} parameters")
        return str(place % self._size)

    def __getitem__(self, place: Any) -> Any:
        if isinstance(place, slice):
            return type(self)(list(self)[place])
        return getattr(self, self._name(place))

    def __setitem__(self, place: int, value: Any) -> None:
        setattr(self, self._name(place), _trained(value))

    def __len__(self) -> int:
        return self._size

    def __iter__(self) -> Iterator[Any]:
        return iter([self[place] for place in range(self._size)])

    def __iadd__(self, values: Iterable[Any]) -> ParameterList:
        return self.extend(values)

    def append(self, value: Any) -> ParameterList:
        """Add a value at the end; returns itself."""
        self._size += 1
        self[-1] = value
        return self

    def extend(self, values: Iterable[Any]) -> ParameterList:
        """Add values at the end; returns itself."""
        if isinstance(values, Tensor) or not isinstance(values, Iterable):
            raise TypeError(f"ParameterList: expected several values, got {type(values).__name__}")
        for value in values:
            self.append(value)
        return self

    def _child_reprs(self) -> list[tuple[str, str]]:
        return [(str(place), _text(value)) for place, value in enumerate(self)]


class ParameterDict(Module):
    """Parameters by name; other values are kept too (torch.nn.ParameterDict).

    >>> import dtrain
    >>> ParameterDict({"scale": dtrain.ones(2)})["scale"].requires_grad
    True
    """

    def __init__(self, parameters: Any = None):
        super().__init__()
        self._keys: dict[str, None] = {}
        self.update({} if parameters is None else parameters)

    def __getitem__(self, key: str) -> Any:
        if key not in self._keys:
            raise KeyError(key)
        return getattr(self, key)

    def __setitem__(self, key: str, value: Any) -> None:
        if not isinstance(key, str):
            raise TypeError(f"ParameterDict: expected a str as key, got {type(key).__name__}")
        self._keys[key] = None
        setattr(self, key, _trained(value))

    def __delitem__(self, key: str) -> None:
        del self._keys[key]
        delattr(self, key)

    def __len__(self) -> int:
        return len(self._keys)

    def __iter__(self) -> Iterator[str]:
        return iter(self._keys)

    def __reversed__(self) -> Iterator[str]:
        return reversed(self._keys)

    def __contains__(self, key: str) -> bool:
        return key in self._keys

    def __or__(self, other: Any) -> ParameterDict:
        both = self.copy()
        both.update(other)
        return both

    def __ior__(self, other: Any) -> ParameterDict:
        self.update(other)
        return self

    def keys(self) -> KeysView[str]:
        """The names."""
        return self._keys.keys()

    def values(self) -> list[Any]:
        """The parameters."""
        return [self[key] for key in self._keys]

    def items(self) -> list[tuple[str, Any]]:
        """The names and parameters."""
        return [(key, self[key]) for key in self._keys]

    def get(self, key: str, default: Any = None) -> Any:
        """The parameter of a name, or what is given instead."""
        return self[key] if key in self._keys else default

    def setdefault(self, key: str, default: Any = None) -> Any:
        """The parameter of a name, which is set to what is given if there is none."""
        if key not in self._keys:
            self[key] = default
        return self[key]

    def pop(self, key: str) -> Any:
        """Take a parameter out."""
        value = self[key]
        del self[key]
        return value

    def popitem(self) -> tuple[str, Any]:
        """Take the last name and parameter out."""
        key = next(reversed(self._keys))
        return key, self.pop(key)

    def clear(self) -> None:
        """Take all out."""
        for key in list(self._keys):
            del self[key]

    def copy(self) -> ParameterDict:
        """Another one, of the same parameters."""
        return type(self)(self.items())

    def fromkeys(self, keys: Iterable[str], default: Any = None) -> ParameterDict:
        """Another one, of one value by several names."""
        return type(self)([(key, default) for key in keys])

    def update(self, parameters: Any) -> None:
        """Add names and parameters, or replace those of the same names."""
        if not isinstance(parameters, Iterable):
            raise TypeError(
                f"ParameterDict: expected names and parameters, got {type(parameters).__name__}"
            )
        items = parameters
        if isinstance(parameters, (OrderedDict, ParameterDict)):
            items = parameters.items()
        elif isinstance(parameters, Mapping):  # PyTorch sorts what older Pythons did not order
            items = sorted(parameters.items())
        for key, value in items:
            self[key] = value

    def _child_reprs(self) -> list[tuple[str, str]]:
        return [(key, _text(value)) for key, value in self.items()]
