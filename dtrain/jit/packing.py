"""What `save` writes: functions, modules and graphs as JSON."""

from __future__ import annotations

import ast
from types import FunctionType, MethodType
from typing import Any

from dtrain.autograd.tensor import Tensor
from dtrain.errors import CompileError
from dtrain.jit.compiled_function import ScriptFunction
from dtrain.jit.compiled_module import CompiledModule
from dtrain.jit.encoding import Encoder, Unencodable
from dtrain.jit.graph import Call, Graph, Step
from dtrain.jit.names import class_name, find_call, module_classes
from dtrain.jit.places import is_library_file
from dtrain.jit.source import FunctionSource, NoProgram, check_program, names_of_modules
from dtrain.jit.surroundings import MODULE_TABLES
from dtrain.nn.module import Module


class _ProgramEncoder(Encoder):
    """Encodes functions and modules of the user's, too."""

    def __init__(self, packer: Packer):
        super().__init__()
        self._packer = packer

    def encode_other(self, value: Any) -> Any:
        if isinstance(value, ScriptFunction):
            value = value.__wrapped_function__
        if isinstance(value, Module):
            return ["module", self._packer.add_module(value)]
        try:
            return super().encode_other(value)
        except Unencodable:
            if isinstance(value, MethodType) and isinstance(value.__self__, Module):
                owner = self._packer.add_module(value.__self__)
                self._packer.wanted.add(value.__func__.__name__)
                return ["method", owner, value.__func__.__name__]
            if isinstance(value, FunctionType) and not _is_dtrains(value):
                return ["program", self._packer.add_function(value)]
            raise


def _is_dtrains(function: FunctionType) -> bool:
    return is_library_file(function.__code__.co_filename)


class Packer:
    """Collects the functions, modules and tensors of one file."""

    def __init__(self) -> None:
        self.encoder: _ProgramEncoder = _ProgramEncoder(self)
        self.functions: list[dict[str, Any]] = []
        self.modules: list[dict[str, Any]] = []
        #: names of methods that programs use
        self.wanted: set[str] = {"forward"}
        self._function_ids: dict[int, int] = {}
        self._module_ids: dict[int, int] = {}
        self._user_modules: list[tuple[Module, dict[str, Any]]] = []
        self._trees: list[FunctionSource] = []

    def pack(self, made: Any) -> dict[str, Any]:
        """The JSON of a script or trace."""
        kind = made._compiled.options.kind
        try:
            return self._pack(made, "graph" if kind == "trace" else "program")
        except (NoProgram, Unencodable) as reason:
            raise CompileError(f"save: {made._compiled.name} cannot be written: {reason}") from None

    def _pack(self, made: Any, kind: str) -> dict[str, Any]:
        is_module = isinstance(made, CompiledModule)
        packed: dict[str, Any] = {"kind": kind, "name": made._compiled.name, "graphs": []}
        if kind == "graph":
            self.wanted = set()
        target = made._orig_mod if is_module else made.__wrapped_function__
        if is_module:
            _name_tensors(self.encoder, target)
            packed["entry"] = ["module", self.add_module(target)]
        elif kind == "program":
            packed["entry"] = self.encoder.encode(target)
        else:
            packed["entry"] = None
        if kind == "graph":
            entries = made._compiled.entries()
            count = len(list(target.modules())) if is_module else 0
            packed["graphs"] = [
                {
                    "modes": list(key[1])[:count],
                    "inputs": entry.inputs,
                    "repeats": entry.repeats,
                    "graph": self._pack_graph(entry.program.graph),
                }
                for key, entry in entries.items()
                if entry.refusal is None and entry.program.is_recorded
            ]
            if not packed["graphs"]:
                raise Unencodable("it has no graph; call it with example inputs first")
        self._add_methods()
        self._check()
        packed["functions"] = [
            {**function, "text": ast.unparse(source.tree)}
            for function, source in zip(self.functions, self._trees)
        ]
        packed["modules"] = self.modules
        return packed

    # --- functions ---

    def add_function(self, function: FunctionType) -> int:
        """Add a function of the user's; returns its index."""
        known = self._function_ids.get(id(function))
        if known is not None:
            return known
        index = self._function_ids[id(function)] = len(self.functions)
        source = FunctionSource(function)
        packed: dict[str, Any] = {"name": source.name, "table": {}}
        self.functions.append(packed)
        self._trees.append(source)
        packed["table"] = source.resolve(self._encode_at)
        return index

    def _encode_at(self, value: Any, place: str) -> Any:
        try:
            return self.encoder.encode(value)
        except Unencodable as reason:
            raise NoProgram(f"{place}: {reason}") from None

    def _add_methods(self) -> None:
        """Add the methods of the user's modules that programs use, directly or indirectly."""
        done = -1
        while done != len(self.functions) + len(self._user_modules):
            done = len(self.functions) + len(self._user_modules)
            for source in self._trees:
                self.wanted |= {
                    n.attr for n in ast.walk(source.tree) if isinstance(n, ast.Attribute)
                }
            for module, packed in list(self._user_modules):
                for name in sorted(self.wanted - packed["methods"].keys()):
                    method = _method_of(module, name)
                    if method is not None:
                        packed["methods"][name] = self._method(method)
            for module, packed in list(self._user_modules):
                for name, value in module.__dict__.items():
                    if name in self.wanted and name not in MODULE_TABLES:
                        self._add_attribute(module, packed, name, value)

    def _method(self, method: Any) -> int | None:
        if isinstance(method, staticmethod):
            method = method.__func__
        if isinstance(method, ScriptFunction):
            method = method.__wrapped_function__
        if hasattr(method, "__wrapped__"):
            raise NoProgram(f"{method.__name__} is decorated")
        if not isinstance(method, FunctionType):
            raise NoProgram(f"{getattr(method, '__name__', method)} is no plain method")
        return self.add_function(method)

    def _check(self) -> None:
        attributes = names_of_modules(self.modules)
        for source in self._trees:
            check_program(source.tree, attributes, source.place)

    # --- modules ---

    def add_module(self, module: Module) -> int:
        """Add a module with all below it; returns its index."""
        if isinstance(module, CompiledModule):
            module = module._orig_mod
        known = self._module_ids.get(id(module))
        if known is not None:
            return known
        index = self._module_ids[id(module)] = len(self.modules)
        if module._hooks is not None and (module._hooks.forward or module._hooks.forward_pre):
            raise Unencodable(f"{type(module).__name__} has hooks")
        kind = class_name(type(module))
        own_class = module_classes().get(kind) is type(module)
        packed: dict[str, Any] = {
            "class": kind if own_class else None,
            "name": type(module).__name__,
            "training": module.training,
            "attributes": {}, "parameters": {}, "buffers": {}, "modules": {}, "methods": {},
            "transient": sorted(module._transient_buffers),
        }  # fmt: skip
        self.modules.append(packed)
        for table in ("parameters", "buffers"):
            for name, tensor in module.__dict__[f"_{table}"].items():
                packed[table][name] = None if tensor is None else self._tensor(tensor)
        for name, child in module._modules.items():
            packed["modules"][name] = None if child is None else self.add_module(child)
        if own_class:
            for name, value in module.__dict__.items():
                if name not in MODULE_TABLES:
                    self._add_attribute(module, packed, name, value)
        else:
            self._user_modules.append((module, packed))
        return index

    def _tensor(self, tensor: Tensor) -> Any:
        return [self.encoder.add_tensor(tensor), tensor.requires_grad]

    def _add_attribute(self, module: Module, packed: dict[str, Any], name: str, value: Any) -> None:
        if name in packed["attributes"]:
            return
        try:
            packed["attributes"][name] = self.encoder.encode(value)
        except Unencodable as reason:
            raise Unencodable(f"{type(module).__name__}.{name}: {reason}") from None

    # --- graphs ---

    def _pack_graph(self, graph: Graph) -> dict[str, Any]:
        encode, used = self.encoder.encode, graph.used_values()
        return {
            "grad_enabled": graph.grad_enabled,
            "inputs": graph.inputs,
            "values": [
                [v.kind, list(v.shape), encode(v.dtype), v.name] for v in graph.values
            ],
            "tensors": {
                str(index): self._tensor(tensor)
                for index, tensor in graph.tensors.items()
                if index in used
            },
            "copied": sorted(graph.copied),
            "root": self._pack_step(graph.root),
        }  # fmt: skip

    def _pack_step(self, step: Step) -> dict[str, Any]:
        encode = self.encoder.encode
        packed: dict[str, Any] = {"calls": [self._pack_call(call) for call in step.calls]}
        if step.decides is None:
            packed["outputs"] = encode(step.outputs)
        else:
            packed["decides"] = encode(step.decides)
            packed["branches"] = [
                [encode(outcome), self._pack_step(branch)]
                for outcome, branch in step.branches.items()
            ]
        return packed

    def _pack_call(self, call: Call) -> Any:
        try:
            find_call(call.name)
            encode = self.encoder.encode
            args = [encode(arg) for arg in call.args]
            kwargs = {name: encode(arg) for name, arg in call.kwargs.items()}
        except (CompileError, Unencodable) as reason:
            raise Unencodable(f"{call.place}: {reason}") from None
        outputs = [[encode(path), value] for path, value in call.outputs]
        return [call.name, args, kwargs, outputs, call.grad_enabled, call.writes_outside]


def _method_of(module: Module, name: str) -> Any:
    """A method of the user's by this name, in the module's class; None if there is none."""
    for kind in type(module).__mro__:
        if name in vars(kind):
            return None if _is_dtrains_class(kind) else vars(kind)[name]
    return None


def _is_dtrains_class(kind: type) -> bool:
    return (kind.__module__ or "").partition(".")[0] == "dtrain" or kind is object


def _name_tensors(encoder: Encoder, module: Module) -> None:
    """Give the tensors of a module the names of its state_dict."""
    for name, tensor in (*module.named_parameters(), *module.named_buffers()):
        encoder.add_tensor(tensor, name)
