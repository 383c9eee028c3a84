"""Parameters, buffers and submodules as attributes of a module."""

from __future__ import annotations

from typing import Any

from dtrain.autograd import Tensor
from dtrain.autograd.parameter_changes import attribute_changes, parameter_changes
from dtrain.nn.parameter import Buffer, Parameter

#: For each table of a module: what its entries are called, and the type they must have.
_KINDS = {
    "_parameters": ("parameter", "dtrain.nn.Parameter"),
    "_modules": ("child module", "dtrain.nn.Module"),
    "_buffers": ("buffer", "dtrain.Tensor"),
}


class _Registry(dict[str, Any]):
    """The parameters or submodules of a module, by name; counts its changes, whoever makes them."""

    def __setitem__(self, name: str, value: Any) -> None:
        parameter_changes.note()
        super().__setitem__(name, value)

    def __delitem__(self, name: str) -> None:
        parameter_changes.note()
        super().__delitem__(name)

    def pop(self, name: str, *default: Any) -> Any:
        if name in self:
            parameter_changes.note()
        return super().pop(name, *default)

    def popitem(self) -> tuple[str, Any]:
        parameter_changes.note()
        return super().popitem()

    def setdefault(self, name: str, default: Any = None) -> Any:
        parameter_changes.note()
        return super().setdefault(name, default)

    def update(self, *args: Any, **kwargs: Any) -> None:
        parameter_changes.note()
        super().update(*args, **kwargs)

    def clear(self) -> None:
        parameter_changes.note()
        super().clear()


class Attributes:
    """The base class of Module that stores attributes: each kind in a dict of its own."""

    training: bool
    _parameters: dict[str, Any]
    _buffers: dict[str, Any]
    _modules: dict[str, Any]
    _transient_buffers: set[str]

    def __init__(self) -> None:
        self.__dict__.update(
            training=True, _parameters=_Registry(), _buffers={}, _modules=_Registry(),
            _transient_buffers=set(), _hooks=None,
        )  # fmt: skip

    def __setattr__(self, name: str, value: Any) -> None:
        tables = self.__dict__
        if isinstance(value, (Parameter, Attributes)):
            self._require_init(name)
            own = "_parameters" if isinstance(value, Parameter) else "_modules"
            self._remove(name, keep=own)
            tables[own][name] = value
            return
        if isinstance(value, Buffer):
            self._require_init(name)
            self._remove(name, keep="_buffers")
            self.register_buffer(name, value, value.persistent)
            return
        for table, (kind, expected) in _KINDS.items():
            if name in tables.get(table, ()):
                if value is not None and not (table == "_buffers" and isinstance(value, Tensor)):
                    raise TypeError(
                        f"cannot assign {type(value).__name__} as {kind} {name!r}: expected "
                        f"{expected} or None"
                    )
                tables[table][name] = value
                return
        attribute_changes.count += 1
        object.__setattr__(self, name, value)

    def __getattr__(self, name: str) -> Any:
        own = self.__dict__
        for table in _KINDS:
            if table in own and name in own[table]:
                return own[table][name]
        raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")

    def __delattr__(self, name: str) -> None:
        attribute_changes.count += 1
        if not self._remove(name):
            object.__delattr__(self, name)

    def __dir__(self) -> list[str]:
        names = {*super().__dir__(), *self._parameters, *self._buffers, *self._modules}
        return sorted(name for name in names if not name[:1].isdigit())

    def _remove(self, name: str, keep: str = "") -> bool:
        """Remove an attribute from all tables except `keep`; returns whether it was in one."""
        self._transient_buffers.discard(name)
        tables = [self.__dict__[table] for table in _KINDS if table != keep]
        found = [table.pop(name, self) is not self for table in (*tables, self.__dict__)]
        return any(found)

    def _replace_tensor(self, name: str, tensor: Tensor) -> None:
        """Replace the parameter or buffer of this name."""
        self.__dict__["_parameters" if name in self._parameters else "_buffers"][name] = tensor

    def _require_init(self, name: str) -> None:
        if "_parameters" not in self.__dict__:
            raise AttributeError(
                f"{type(self).__name__}: call super().__init__() before {name} = ..."
            )

    def _check_registration(self, table: str, name: Any, value: Any, type_: type) -> None:
        """Refuse a name or a value that cannot be registered in this table."""
        kind, expected = _KINDS[table]
        self._require_init(name)
        if not isinstance(name, str):
            raise TypeError(f"{kind} name should be a string, got {type(name).__name__}")
        if not name or "." in name:
            raise KeyError(f'{kind} name can\'t be empty or contain ".", got {name!r}')
        if hasattr(self, name) and name not in self.__dict__[table]:
            raise KeyError(f"attribute {name!r} already exists")
        if value is not None and not isinstance(value, type_):
            raise TypeError(
                f"cannot assign {type(value).__name__} as {kind} {name!r}: expected "
                f"{expected} or None"
            )

    def register_parameter(self, name: str, param: Parameter | None) -> None:
        """Add a parameter; None declares that the module has no parameter of this name."""
        self._check_registration("_parameters", name, param, Parameter)
        self._parameters[name] = param

    def register_buffer(self, name: str, tensor: Tensor | None, persistent: bool = True) -> None:
        """Add a tensor that is state but is not trained; state_dict holds the persistent ones."""
        self._check_registration("_buffers", name, tensor, Tensor)
        self._buffers[name] = tensor
        (self._transient_buffers.discard if persistent else self._transient_buffers.add)(name)
