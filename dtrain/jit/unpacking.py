"""What `load` makes of a file: modules, functions and graphs that run."""

from __future__ import annotations

import itertools
from types import MethodType
from typing import Any, NamedTuple

from dtrain.autograd.tensor import Tensor
from dtrain.errors import CompileError
from dtrain.jit.arguments import describe_inputs, graph_inputs
from dtrain.jit.encoding import Decoder
from dtrain.jit.graph import Call, Graph, Step, Value
from dtrain.jit.names import find_call, module_classes
from dtrain.jit.program import UNKNOWN, Program
from dtrain.jit.source import compile_program, names_of_modules
from dtrain.nn.module import Module
from dtrain.nn.parameter import Parameter


class LoadedModule(Module):
    """A module from a file: its parameters and submodules under their names, and its methods."""

    def __init__(self) -> None:
        super().__init__()
        object.__setattr__(self, "original_name", "")

    def _get_name(self) -> str:
        return str(self.original_name)

    def save(self, path: Any) -> None:
        """Refused: the file that this was loaded from can be copied."""
        raise CompileError("save: a loaded module is in a file already: copy that, with its state")


class LoadedFunction:
    """A function from a file."""

    def __init__(self, name: str, function: Any):
        self.__name__ = self.name = name
        self.__wrapped_function__ = self._function = function

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        return self._function(*args, **kwargs)

    def __repr__(self) -> str:
        return f"<loaded function {self.name}>"


def is_program(loaded: Any) -> bool:
    """Whether a function or module from a file is a script, or has a part that is one."""
    if isinstance(loaded, LoadedFunction):
        return not isinstance(loaded.__wrapped_function__, LoadedGraphs)
    return isinstance(loaded, Module) and any(
        isinstance(part, LoadedModule) and isinstance(vars(part).get("forward"), MethodType)
        for part in loaded.modules()
    )


class _ProgramDecoder(Decoder):
    def __init__(self, unpacker: Unpacker, tensors: dict[str, Tensor]):
        super().__init__(tensors)
        self._unpacker = unpacker

    def _module(self, index: int) -> Module:
        return self._unpacker.modules[index]

    def _program(self, index: int) -> Any:
        return self._unpacker.functions[index]

    def _method(self, index: int, name: str) -> Any:
        return getattr(self._unpacker.modules[index], str(name))


class _Late:
    """A function that is called before its program is compiled: functions may call each other."""

    def __init__(self) -> None:
        self.function: Any = None

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        return self.function(*args, **kwargs)


class Unpacker:
    """Makes the functions, modules and tensors of one file."""

    def __init__(self, program: dict[str, Any], tensors: dict[str, Tensor]):
        self._program = program
        self._decoder = _ProgramDecoder(self, tensors)
        self._parameters: dict[str, Parameter] = {}
        self.modules: list[Module] = []
        self.functions: list[_Late] = [_Late() for _ in program["functions"]]

    def unpack(self) -> Any:
        """The function or module of the file."""
        program = self._program
        for packed in program["modules"]:
            self.modules.append(self._make_module(packed))
        for module, packed in zip(self.modules, program["modules"]):
            self._link(module, packed)
        attributes = names_of_modules(program["modules"])
        for late, packed in zip(self.functions, program["functions"]):
            values = {
                _checked_name(name): self._decoder.decode(value)
                for name, value in packed["table"].items()
            }
            name = str(packed["name"])
            late.function = compile_program(packed["text"], name, values, attributes)
        self._bind_functions()
        name = str(program["name"])
        if program["kind"] == "program":
            entry = self._decoder.decode(program["entry"])
            if isinstance(entry, _Late):
                entry = entry.function
            return entry if isinstance(entry, Module) else LoadedFunction(name, entry)
        graphs = LoadedGraphs(name, [self._graph(packed) for packed in program["graphs"]])
        if program["entry"] is None:
            return LoadedFunction(name, graphs)
        module = self._decoder.decode(program["entry"])
        graphs.module = module
        object.__setattr__(module, "forward", graphs)
        return module

    def _bind_functions(self) -> None:
        """Replace placeholders by the functions, which are compiled now."""
        for late in self.functions:
            namespace = late.function.__globals__
            for name, value in namespace.items():
                if isinstance(value, _Late):
                    namespace[name] = value.function
        for module, packed in zip(self.modules, self._program["modules"]):
            for name, index in packed["methods"].items():
                method = MethodType(self.functions[index].function, module)
                object.__setattr__(module, _checked_name(name), method)

    # --- modules ---

    def _make_module(self, packed: dict[str, Any]) -> Module:
        if packed["class"] is None:
            module: Module = LoadedModule()
            object.__setattr__(module, "original_name", str(packed["name"]))
            return module
        kind = module_classes().get(packed["class"])
        if kind is None:
            raise CompileError(f"load: the file names {packed['class']!r}, which is no layer")
        module = kind.__new__(kind)
        Module.__init__(module)
        return module

    def _link(self, module: Module, packed: dict[str, Any]) -> None:
        """Set a module's attributes, parameters and submodules, once all modules are made."""
        for name, given in packed["parameters"].items():
            module.register_parameter(_checked_name(name), self._parameter(given))
        for name, given in packed["buffers"].items():
            tensor = None if given is None else self._decoder.tensor(given[0])
            module.register_buffer(_checked_name(name), tensor, name not in packed["transient"])
        for name, index in packed["modules"].items():
            module._modules[str(name)] = None if index is None else self.modules[index]
        for name, value in packed["attributes"].items():
            object.__setattr__(module, _checked_name(name), self._decoder.decode(value))
        object.__setattr__(module, "training", bool(packed["training"]))

    def _parameter(self, given: Any) -> Parameter | None:
        """The parameter of a name; one that is shared is one object."""
        if given is None:
            return None
        name, requires_grad = given
        if name not in self._parameters:
            self._parameters[name] = Parameter(self._decoder.tensor(name), bool(requires_grad))
        return self._parameters[name]

    # --- graphs ---

    def _graph(self, packed: dict[str, Any]) -> _LoadedGraph:
        form, decode = packed["graph"], self._decoder.decode
        graph = Graph(str(self._program["name"]))
        graph.grad_enabled = bool(form["grad_enabled"])
        graph.values = [
            Value(str(kind), tuple(shape), decode(dtype), str(name))
            for kind, shape, dtype, name in form["values"]
        ]
        graph.inputs = [int(index) for index in form["inputs"]]
        graph.copied = {int(index) for index in form["copied"]}
        for index, (name, requires_grad) in form["tensors"].items():
            tensor: Tensor = self._decoder.tensor(name)
            known = self._parameters.get(name)
            if known is None and requires_grad:
                known = self._parameters[name] = Parameter(tensor)
            graph.tensors[int(index)] = tensor if known is None else known
        graph.root = self._step(form["root"])
        program = Program(graph)
        program.finish()
        repeats = [int(index) for index in packed["repeats"]]
        return _LoadedGraph(list(packed["modes"]), list(packed["inputs"]), repeats, program)

    def _step(self, packed: dict[str, Any]) -> Step:
        decode = self._decoder.decode
        step = Step([self._call(call) for call in packed["calls"]])
        if "decides" in packed:
            step.decides = decode(packed["decides"])
            step.branches = {
                decode(outcome): self._step(branch) for outcome, branch in packed["branches"]
            }
        else:
            step.outputs = decode(packed["outputs"])
        return step

    def _call(self, packed: Any) -> Call:
        name, args, kwargs, outputs, enabled, writes_outside = packed
        decode = self._decoder.decode
        return Call(
            name, find_call(name), tuple(map(decode, args)),
            {_checked_name(key): decode(value) for key, value in kwargs.items()},
            [(decode(path), int(value)) for path, value in outputs],
            bool(enabled), "", bool(writes_outside),
        )  # fmt: skip


def _checked_name(name: Any) -> str:
    """A name from a file, which must be a plain identifier."""
    if not isinstance(name, str) or not name.isidentifier() or name.startswith("__"):
        raise CompileError(f"load: the file has {name!r} where a name is expected")
    return name


class _LoadedGraph(NamedTuple):
    """A graph of a trace, and the training modes and arguments with which it was recorded.

    inputs, repeats : see `describe_inputs` and `find_repeats`
    """

    modes: list[bool]
    inputs: list[str]
    repeats: list[int]
    program: Program

    def takes(self, form: list[str], inputs: list[Any]) -> bool:
        """Whether arguments have this form, and are one tensor where the recorded ones were."""
        return [text.removesuffix(" again") for text in self.inputs] == form and all(
            inputs[index] is inputs[first] for index, first in enumerate(self.repeats)
        )


class LoadedGraphs:
    """The graphs of a trace: calls the one that was recorded for such inputs."""

    def __init__(self, name: str, graphs: list[_LoadedGraph]):
        self.name = name
        self.module: Module | None = None
        self._graphs = graphs

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        form = [text.removesuffix(" again") for text in describe_inputs(args, kwargs)]
        inputs = graph_inputs(args, kwargs)
        modes = None if self.module is None else [m.training for m in self.module.modules()]
        for graph in self._graphs:
            if (modes is None or graph.modes == modes) and graph.takes(form, inputs):
                self._require_one_device(inputs)
                given = [inputs[i] for i, first in enumerate(graph.repeats) if i == first]
                result = graph.program.run(given)
                if result is UNKNOWN:
                    raise CompileError(
                        f"{self.name}: these values take a branch that was not traced; save a "
                        "script instead of a trace"
                    )
                return result
        known = " or ".join(dict.fromkeys(str(graph.inputs) for graph in self._graphs))
        raise CompileError(
            f"{self.name}: expected inputs {known}, in the training mode in which it was traced, "
            f"got {form}; call the trace with such inputs before it is saved, or save a script"
        )

    def _require_one_device(self, inputs: list[Any]) -> None:
        """Refuse inputs that are not where the parameters are; numbers may be anywhere."""
        tensors = [x for x in inputs if isinstance(x, Tensor) and x.ndim]
        if self.module is not None:
            tensors += itertools.islice(self.module.parameters(), 1)
        devices = sorted({str(tensor.device) for tensor in tensors})
        if len(devices) > 1:
            raise RuntimeError(
                f"{self.name}: expected all tensors to be on the same device, got "
                f"{' and '.join(devices)}; move them with .to(device)"
            )
