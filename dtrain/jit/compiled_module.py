"""`CompiledModule`: a module whose `forward` runs as a recorded graph.

It is a subclass of the module's own class and shares the module's attributes: parameters, buffers,
submodules, modes and hooks are the same objects under the same names.
"""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

from dtrain.jit.graph import Graph
from dtrain.jit.graph_table import Options
from dtrain.jit.recorded import RecordedFunction
from dtrain.nn.module import Module


class CompiledModule:
    """Mixin of compiled modules: `forward` runs as a graph; `_orig_mod` is the module itself."""

    __slots__ = ("_compiled", "_orig_mod")

    _compiled: RecordedFunction
    _orig_mod: Module

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        """The module's output, by its graph."""
        return self._compiled(*args, **kwargs)

    @property
    def graph(self) -> Graph:
        """The graph of the shapes that came last."""
        return self._compiled.graph

    def __repr__(self) -> str:
        compiled = self._compiled
        return f"{super().__repr__()}  # {compiled.options.kind}: {compiled.describe_graphs()}"

    def __deepcopy__(self, memo: dict[int, Any]) -> Any:
        original = copy.deepcopy(self._orig_mod, memo)
        return make_compiled_module(original, self._compiled.options)

    def __reduce_ex__(self, protocol: Any) -> Any:
        return make_compiled_module, (self._orig_mod, self._compiled.options)


class ScriptModule(CompiledModule):
    """Mixin of modules from `jit.script` and `jit.trace` (torch.jit.ScriptModule)."""

    __slots__ = ()

    def save(self, path: str | Path) -> None:
        """Write graph and weights to a file, see :func:`dtrain.jit.save`."""
        from dtrain.jit.files import save  # files.py makes ScriptModules

        save(self, path)

    @property
    def code(self) -> str:
        """The program as text, like Python."""
        from dtrain.jit.files import code_of

        return code_of(self)


def make_compiled_module(module: Module, options: Options) -> Any:
    """A module of a subclass of `module`'s class that shares its attributes and runs as graphs."""
    if isinstance(module, CompiledModule):
        module = module._orig_mod
    kind = type(module)
    mixin = CompiledModule if options.kind == "compile" else ScriptModule
    compiled_class = type(kind.__name__, (mixin, kind), {"__slots__": (), "__doc__": kind.__doc__})
    compiled: Any = object.__new__(compiled_class)
    object.__setattr__(compiled, "__dict__", module.__dict__)
    object.__setattr__(compiled, "_orig_mod", module)
    name = kind.__name__
    object.__setattr__(compiled, "_compiled", RecordedFunction(module.forward, name, options))
    return compiled
