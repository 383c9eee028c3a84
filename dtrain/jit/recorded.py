"""`RecordedFunction`: a function with its graphs: records, chooses, verifies, or runs it plainly.

The first call with arguments of certain shapes runs the function and records a graph. The second
one runs both, the function and the graph, and compares; later ones run the graph.
"""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable
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
    flatten,
    global_modes,
    is_graph_input,
)
from dtrain.jit.comparison import same_results, without_history
from dtrain.jit.graph import Graph, rebuild
from dtrain.jit.graph_table import Failure, GraphEntry, GraphTable, Options, ThreadGraphs
from dtrain.jit.program import UNKNOWN
from dtrain.jit.segments import calls_of_varying_shape
from dtrain.jit.side_effects import ArgumentContainers, Undo
from dtrain.jit.surroundings import Surroundings
from dtrain.jit.tracer import GraphTracer, Refusal
from dtrain.jit.tracer_warning import warn_of_places


class RecordedFunction:
    """A function that runs as recorded graphs; called like the function itself."""

    def __init__(self, function: Callable[..., Any], name: str, options: Options):
        self.function = function
        self.name = name
        self.options = options
        self._local = ThreadGraphs()
        self._said: set[str] = set()

    # --- calls ---

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        local = self._local
        if local.refusal is not None or current_tracer() is not None or anomaly.enabled:
            return self.function(*args, **kwargs)
        leaves: list[Any] = []
        modules: list[Identity] = []
        form = flatten((args, kwargs), leaves, modules, {})
        table = local.tables.get(tuple(modules))
        if table is None:
            surroundings = Surroundings(self.function, (args, kwargs))
            table = local.tables[tuple(modules)] = GraphTable(surroundings)
        elif (change := table.surroundings.find_change()) is not None:
            self._reset(table, change, args, kwargs)
        if (obstacle := table.surroundings.obstacle()) is not None:
            return self._run_plainly(obstacle, args, kwargs)
        key = (form, table.surroundings.modes(), *global_modes())
        entry = table.entries.get(key)
        if entry is None:
            return self._first_call(table, key, args, kwargs)
        if entry.refusal is not None:
            return self.function(*args, **kwargs)
        if not entry.program.is_recorded:
            return self._record(table, entry, args, kwargs)
        if not entry.is_verified:
            return self._verify(table, entry, args, kwargs, leaves)
        return self._run(table, entry, args, kwargs, leaves)

    def _run(
        self, table: GraphTable, entry: GraphEntry, args: Any, kwargs: Any, leaves: list[Any]
    ) -> Any:  # fmt: skip
        generator = default_generator()
        counter = generator._counter
        result = self._try(entry, leaves)
        if result is UNKNOWN:
            generator._counter = counter
            return self._record(table, entry, args, kwargs)
        if type(result) is Failure:
            generator._counter = counter
            return self._run_after(result, entry, args, kwargs)
        return result

    def _try(self, entry: GraphEntry, leaves: list[Any]) -> Any:
        """What the graph gives; a Failure if it raises, unless it may have changed something."""
        try:
            return entry.program.run(leaves)
        except Exception as error:
            if entry.program.changes_outside:
                raise
            return Failure(f"{type(error).__name__}: {error}")

    def _run_after(self, failure: Failure, entry: GraphEntry, args: Any, kwargs: Any) -> Any:
        """Run the function, which raises the error of the graph if it is the user's."""
        result = self.function(*args, **kwargs)
        varying = calls_of_varying_shape(entry.program.graph)
        where = ""
        if varying:
            where = f"{varying[0].place}: the shape of what {varying[0].name} gives varies: "
        self._refuse(entry, f"{where}its graph does not fit these values ({failure.error})")
        return result

    def _first_call(self, table: GraphTable, key: Any, args: Any, kwargs: Any) -> Any:
        if len(table.entries) >= self.options.limit:
            difference = describe_difference(next(reversed(table.entries)), key)
            reason = f"there are {self.options.limit} graphs already: {difference}"
            self._local.refusal = reason
            return self._run_plainly(reason, args, kwargs)
        entry = table.entries[key] = GraphEntry(Graph(self.name), args, kwargs)
        return self._record(table, entry, args, kwargs)

    def _reset(self, table: GraphTable, change: str, args: Any, kwargs: Any) -> None:
        """Drop all graphs, as something changed that they contain."""
        table.surroundings = Surroundings(self.function, (args, kwargs))
        table.entries.clear()
        table.resets += 1
        if table.resets > self.options.limit:
            self._local.refusal = f"{change} has changed {table.resets} times"
            self._say(self._local.refusal)

    # --- recording ---

    def _record(self, table: GraphTable, entry: GraphEntry, args: Any, kwargs: Any) -> Any:
        """Run the function, and add its path to the graph of an entry."""
        burned: list[str] = []
        tracer = GraphTracer(self.name, burned.append if self.options.one_path else None)
        surroundings = table.surroundings
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
        """The arguments to record with: tensors and floats are replaced by proxies."""
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
        self, table: GraphTable, entry: GraphEntry, args: Any, kwargs: Any, leaves: list[Any]
    ) -> Any:  # fmt: skip
        """Run the function and the graph; use the graph from now on if both agree."""
        entry.is_verified = True
        if entry.program.changes_outside:
            return self._run(table, entry, args, kwargs, leaves)
        generator = default_generator()
        before = generator.get_state()
        graphs = rebuild(self._try(entry, leaves), without_history)
        after = generator.get_state()
        generator.set_state(before)
        if type(graphs) is Failure:
            return self._run_after(graphs, entry, args, kwargs)
        if graphs is UNKNOWN:
            entry.is_verified = False
            return self._record(table, entry, args, kwargs)
        result = self.function(*args, **kwargs)
        if after != generator.get_state() or not same_results(result, graphs):
            self._refuse(entry, f"the graph of {self.name} gives another result than the function: "
                         "it depends on something that is no tensor and no argument")  # fmt: skip
        if (change := table.surroundings.find_change()) is not None:
            self._refuse(entry, f"{self.name} changes {change} while it runs")
        return result

    # --- refusals ---

    def _refuse(self, entry: GraphEntry, reason: str) -> None:
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

    def entries(self) -> dict[Any, GraphEntry]:
        """The graphs of this thread by form of the arguments and modes."""
        tables = self._local.tables.values()
        return {key: entry for table in tables for key, entry in table.entries.items()}

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
