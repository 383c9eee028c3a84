"""ParameterList and ParameterDict: containers of parameters."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable, Iterator, KeysView, Mapping
from operator import index
from typing import Any

from dtrain.autograd import Tensor
from dtrain.nn.module import Module
from dtrain.nn.parameter import Parameter


def _as_parameter(value: Any) -> Any:
    """Wrap a plain tensor in a Parameter; return anything else unchanged."""
    return Parameter(value) if type(value) is Tensor else value


def _text(value: Any) -> str:
    if not isinstance(value, Tensor):
        return f"Object of type: {type(value).__name__}"
    kind = "Parameter" if isinstance(value, Parameter) else "Tensor"
    where = f" ({value.device})" if value.is_cuda else ""
    size = "x".join(map(str, value.shape))
    return f"{kind} containing: [{value.dtype} of size {size}{where}]"


class ParameterList(Module):
    """A list of parameters; also accepts other values (torch.nn.ParameterList).

    >>> import dtrain
    >>> weights = ParameterList([dtrain.zeros(2), dtrain.zeros(3)])
    >>> [name for name, _ in weights.named_parameters()]
    ['0', '1']
    """

    def __init__(self, values: Iterable[Any] | None = None):
        super().__init__()
        self._size = 0
        self.extend(() if values is None else values)

    def _name(self, position: int) -> str:
        position = index(position)
        if not -self._size <= position < self._size:
            raise IndexError(f"index {position} is out of range for {self._size} parameters")
        return str(position % self._size)

    def __getitem__(self, position: Any) -> Any:
        if isinstance(position, slice):
            return type(self)(list(self)[position])
        return getattr(self, self._name(position))

    def __setitem__(self, position: int, value: Any) -> None:
        setattr(self, self._name(position), _as_parameter(value))

    def __len__(self) -> int:
        return self._size

    def __iter__(self) -> Iterator[Any]:
        return iter([self[position] for position in range(self._size)])

    def __iadd__(self, values: Iterable[Any]) -> ParameterList:
        return self.extend(values)

    def append(self, value: Any) -> ParameterList:
        """Add a value at the end; returns self."""
        self._size += 1
        self[-1] = value
        return self

    def extend(self, values: Iterable[Any]) -> ParameterList:
        """Add values at the end; returns self."""
        if isinstance(values, Tensor) or not isinstance(values, Iterable):
            raise TypeError(f"ParameterList: expected several values, got {type(values).__name__}")
        for value in values:
            self.append(value)
        return self

    def _child_reprs(self) -> list[tuple[str, str]]:
        return [(str(position), _text(value)) for position, value in enumerate(self)]


class ParameterDict(Module):
    """A dict of parameters by name; also accepts other values (torch.nn.ParameterDict).

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
        setattr(self, key, _as_parameter(value))

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
        """The parameter of this name, or `default`."""
        return self[key] if key in self._keys else default

    def setdefault(self, key: str, default: Any = None) -> Any:
        """The parameter of this name, first set to `default` if it is missing."""
        if key not in self._keys:
            self[key] = default
        return self[key]

    def pop(self, key: str) -> Any:
        """Remove and return the parameter of this name."""
        value = self[key]
        del self[key]
        return value

    def popitem(self) -> tuple[str, Any]:
        """Remove and return the last (name, parameter)."""
        key = next(reversed(self._keys))
        return key, self.pop(key)

    def clear(self) -> None:
        """Remove all parameters."""
        for key in list(self._keys):
            del self[key]

    def copy(self) -> ParameterDict:
        """A new ParameterDict of the same parameters."""
        return type(self)(self.items())

    def fromkeys(self, keys: Iterable[str], default: Any = None) -> ParameterDict:
        """A new ParameterDict with `default` under each of these names."""
        return type(self)([(key, default) for key in keys])

    def update(self, parameters: Any) -> None:
        """Add or replace parameters, from a mapping or (name, parameter) pairs."""
        if not isinstance(parameters, Iterable):
            raise TypeError(
                f"ParameterDict: expected names and parameters, got {type(parameters).__name__}"
            )
        items = parameters
        if isinstance(parameters, (OrderedDict, ParameterDict)):
            items = parameters.items()
        elif isinstance(parameters, Mapping):  # PyTorch sorts plain dicts
            items = sorted(parameters.items())
        for key, value in items:
            self[key] = value

    def _child_reprs(self) -> list[tuple[str, str]]:
        return [(key, _text(value)) for key, value in self.items()]
