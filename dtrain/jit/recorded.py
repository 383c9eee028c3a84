"""`RecordedFunction`: a function with its graphs: records, chooses, verifies, or runs it plainly.

The first call with arguments of certain shapes runs the function and records a graph. The second
one runs both, the function and the graph, and compares; later ones run the graph.
"""

from __future__ import annotations

import threading
import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from dtrain.autograd.anomaly import state as anomaly
from dtrain.autograd.tensor import Tensor
from dtrain.backend import default_generator
from dtrain.backend.tracing import current_tracer
from dtrain.errors import CompileError
from dtrain.jit.arguments import (
    Identity,
    argument_names,
    describe_difference,
    describe_inputs,
    find_repeats,
    flatten,
    global_modes,
    graph_inputs,
    is_graph_input,
)
from dtrain.jit.comparison import same_results, without_history
from dtrain.jit.graph import Graph, rebuild
from dtrain.jit.program import UNKNOWN, Program
from dtrain.jit.segments import calls_of_varying_shape
from dtrain.jit.side_effects import ArgumentContainers, Undo
from dtrain.jit.surroundings import Surroundings
from dtrain.jit.tracer import GraphTracer, Refusal
from dtrain.jit.tracer_warning import warn_of_places


@dataclass(frozen=True)
class Options:
    """How a function is recorded.

    kind : the public function that made it, for messages
    limit : the most graphs, one for each combination of shapes, dtypes and Python values
    refuses : raise an error where the function cannot be recorded, instead of running it plainly
    one_path : what Python reads of a value becomes a constant, with a warning (torch.jit.trace)
    """

    kind: str
    limit: int = 8
    refuses: bool = False
    one_path: bool = False


@dataclass(frozen=True)
class _Failure:
    """The error that a graph raised."""

    error: str


class _Entry:
    """The graph for arguments of certain shapes."""

    def __init__(self, graph: Graph, args: Any, kwargs: Any):
        self.program = Program(graph)
        # for a file: the arguments, and which of them are one input
        self.inputs = describe_inputs(args, kwargs)
        self.repeats = find_repeats(graph_inputs(args, kwargs))
        self.is_verified = False
        self.refusal: str | None = None


class _State:
    """The graphs of a function that was called with certain modules as arguments."""

    def __init__(self, surroundings: Surroundings):
        self.entries: dict[Any, _Entry] = {}
        self.surroundings = surroundings
        self.forgotten = 0


class _PerThread(threading.local):
    """Ranks may be threads that share a function: each has graphs of its own."""

    def __init__(self) -> None:
        self.states: dict[tuple[Identity, ...], _State] = {}
        self.refusal: str | None = None


class RecordedFunction:
    """A function that runs as recorded graphs; called like the function itself."""

    def __init__(self, function: Callable[..., Any], name: str, options: Options):
        self.function = function
        self.name = name
        self.options = options
        self._local = _PerThread()
        self._said: set[str] = set()

    # --- calls ---

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        local = self._local
        if local.refusal is not None or current_tracer() is not None or anomaly.enabled:
            return self.function(*args, **kwargs)
        leaves: list[Any] = []
        modules: list[Identity] = []
        form = flatten((args, kwargs), leaves, modules, {})
        state = local.states.get(tuple(modules))
        if state is None:
            surroundings = Surroundings(self.function, (args, kwargs))
            state = local.states[tuple(modules)] = _State(surroundings)
        elif (change := state.surroundings.find_change()) is not None:
            self._forget(state, change, args, kwargs)
        if (obstacle := state.surroundings.obstacle()) is not None:
            return self._run_plainly(obstacle, args, kwargs)
        key = (form, state.surroundings.modes(), *global_modes())
        entry = state.entries.get(key)
        if entry is None:
            return self._first_call(state, key, args, kwargs)
        if entry.refusal is not None:
            return self.function(*args, **kwargs)
        if not entry.program.is_recorded:
            return self._record(state, entry, args, kwargs)
        if not entry.is_verified:
            return self._verify(state, entry, args, kwargs, leaves)
        return self._run(state, entry, args, kwargs, leaves)

    def _run(
        self, state: _State, entry: _Entry, args: Any, kwargs: Any, leaves: list[Any]
    ) -> Any:  # fmt: skip
        generator = default_generator()
        counter = generator._counter
        result = self._try(entry, leaves)
        if result is UNKNOWN:
            generator._counter = counter
            return self._record(state, entry, args, kwargs)
        if type(result) is _Failure:
            generator._counter = counter
            return self._run_after(result, entry, args, kwargs)
        return result

    def _try(self, entry: _Entry, leaves: list[Any]) -> Any:
        """What the graph gives; a _Failure if it raises, unless it may have changed something."""
        try:
            return entry.program.run(leaves)
        except Exception as error:
            if entry.program.changes_outside:
                raise
            return _Failure(f"{type(error).__name__}: {error}")

    def _run_after(self, failure: _Failure, entry: _Entry, args: Any, kwargs: Any) -> Any:
        """Run the function, which raises the error of the graph if it is the user's."""
        result = self.function(*args, **kwargs)
        varying = calls_of_varying_shape(entry.program.graph)
        where = ""
        if varying:
            where = f"{varying[0].place}: the shape of what {varying[0].name} gives varies: "
        self._refuse(entry, f"{where}its graph does not fit these values ({failure.error})")
        return result

    def _first_call(self, state: _State, key: Any, args: Any, kwargs: Any) -> Any:
        if len(state.entries) >= self.options.limit:
            difference = describe_difference(next(reversed(state.entries)), key)
            reason = f"there are {self.options.limit} graphs already: {difference}"
            self._local.refusal = reason
            return self._run_plainly(reason, args, kwargs)
        entry = state.entries[key] = _Entry(Graph(self.name), args, kwargs)
        return self._record(state, entry, args, kwargs)

    def _forget(self, state: _State, change: str, args: Any, kwargs: Any) -> None:
        """Drop all graphs, as something changed that they contain."""
        state.surroundings = Surroundings(self.function, (args, kwargs))
        state.entries.clear()
        state.forgotten += 1
        if state.forgotten > self.options.limit:
            self._local.refusal = f"{change} has changed {state.forgotten} times"
            self._say(self._local.refusal)

    # --- recording ---

    def _record(self, state: _State, entry: _Entry, args: Any, kwargs: Any) -> Any:
        """Run the function, and add its path to the graph of an entry."""
        burned: list[str] = []
        tracer = GraphTracer(self.name, burned.append if self.options.one_path else None)
        surroundings = state.surroundings
        undo = Undo(surroundings)
        start = time.perf_counter()
        try:
            for kind, name, tensor in surroundings.named_tensors():
                tracer.add_tensor(kind, tensor, name)
            stand_ins = self._stand_ins(tracer, args, kwargs)
            containers = ArgumentContainers((args, kwargs), stand_ins)
            result = tracer.record(lambda: self.function(*stand_ins[0], **stand_ins[1]))
        except Exception as error:
            tracer._restore()
            tracer.outside.undo_writes()
            undo.undo()
            result = self.function(*args, **kwargs)  # raises it again if it is the user's
            self._refuse(entry, f"{type(error).__name__} while it was recorded: {error}")
            return result
        warn_of_places(
            self.options.kind,
            burned,
            "a tensor's value, or a number, is read by Python; the graph has what came of it as a "
            "constant, and may be wrong for other values",
        )
        change = surroundings.find_change()
        if containers.take_changes():
            change = "a list or dict among its arguments"
        reason = tracer.refusal
        if reason is None and change is not None:
            reason = f"{self.name} changes {change} while it runs"
        try:
            if reason is not None:
                raise Refusal(reason)
            if entry.program.is_recorded and tracer.writes_outside and len(tracer.steps) > 1:
                raise Refusal("it changes something outside, and has several paths")
            entry.program.add_path(tracer)
            entry.program.graph.record_s += time.perf_counter() - start
        except Refusal as refusal:
            self._refuse(entry, str(refusal))
        return result

    def _stand_ins(self, tracer: GraphTracer, args: Any, kwargs: Any) -> Any:
        """The arguments with what stands for tensors and floats while they are recorded."""
        names = argument_names(self.function, args, kwargs)
        made: dict[int, Tensor] = {}

        def leaf(value: Any) -> Any:
            if not is_graph_input(value):
                return value
            name = next(names)
            if not isinstance(value, Tensor):
                return tracer.add_number(value, name)
            if id(value) not in made:
                made[id(value)] = tracer.add_input(value, name)
            return made[id(value)]

        return rebuild(args, leaf), rebuild(kwargs, leaf)

    def _verify(
        self, state: _State, entry: _Entry, args: Any, kwargs: Any, leaves: list[Any]
    ) -> Any:  # fmt: skip
        """Run the function and the graph; use the graph from now on if both agree."""
        entry.is_verified = True
        if entry.program.changes_outside:
            return self._run(state, entry, args, kwargs, leaves)
        generator = default_generator()
        before = generator.get_state()
        graphs = rebuild(self._try(entry, leaves), without_history)
        after = generator.get_state()
        generator.set_state(before)
        if type(graphs) is _Failure:
            return self._run_after(graphs, entry, args, kwargs)
        if graphs is UNKNOWN:
            entry.is_verified = False
            return self._record(state, entry, args, kwargs)
        result = self.function(*args, **kwargs)
        if after != generator.get_state() or not same_results(result, graphs):
            self._refuse(entry, f"the graph of {self.name} gives another result than the function: "
                         "it depends on something that is no tensor and no argument")  # fmt: skip
        if (change := state.surroundings.find_change()) is not None:
            self._refuse(entry, f"{self.name} changes {change} while it runs")
        return result

    # --- refusals ---

    def _refuse(self, entry: _Entry, reason: str) -> None:
        entry.refusal = reason
        if self.options.refuses:
            raise CompileError(f"{self.options.kind}: {self.name} cannot be recorded: {reason}")
        self._say(reason)

    def _run_plainly(self, reason: str, args: Any, kwargs: Any) -> Any:
        """Run the function without a graph, and say why once; or refuse to."""
        if self.options.refuses:
            raise CompileError(f"{self.options.kind}: {self.name} cannot be recorded: {reason}")
        self._say(reason)
        return self.function(*args, **kwargs)

    def _say(self, reason: str) -> None:
        what, _, _ = reason.partition(" (was ")  # once, whatever the values are
        if what not in self._said:
            self._said.add(what)
            warnings.warn(
                f"{self.options.kind}: {self.name} runs operation by operation, without a graph: "
                f"{reason}",
                RuntimeWarning,
                stacklevel=4,
            )

    def describe_graphs(self) -> str:
        """How many graphs this thread has, and how long it took to make them."""
        graphs = [e.program.graph for e in self.entries().values() if e.program.is_recorded]
        count = f"{len(graphs) or 'no'} graph{'s' if len(graphs) > 1 else ''}"
        if not graphs:
            return count
        record_s, compile_s = (sum(s) for s in zip(*((g.record_s, g.compile_s) for g in graphs)))
        return f"{count}, recorded in {record_s:.2f} s, compiled in {compile_s:.2f} s"

    def entries(self) -> dict[Any, _Entry]:
        """The graphs of this thread by form of the arguments and modes."""
        states = self._local.states.values()
        return {key: entry for state in states for key, entry in state.entries.items()}

    @property
    def graph(self) -> Graph:
        """`last_graph`, which must be there."""
        graph = self.last_graph()
        if graph is None:
            raise CompileError(f"graph: {self.name} has no graph yet; call it first")
        return graph

    def last_graph(self) -> Graph | None:
        """The graph of the shapes that came last; None before the first call."""
        graphs = [
            entry.program.graph for entry in self.entries().values() if entry.program.is_recorded
        ]
        return graphs[-1] if graphs else None
