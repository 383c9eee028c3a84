"""`Program`: runs the recorded paths of a graph, each step as one generated function.

A step runs the primitives of eager mode, in the same order on the same values, so that results and
gradients have eager mode's bits. What is saved is all Python between them.
"""

from __future__ import annotations

from typing import Any

from dtrain.autograd import grad_mode
from dtrain.jit.comparison import same_items, same_structure
from dtrain.jit.graph import Call, Graph, Ref, Step, rebuild
from dtrain.jit.step_code import make_step
from dtrain.jit.tracer import GraphTracer, Refusal, outcome_key

#: The most paths through one graph.
MAX_PATHS = 16

#: What `Program.run` returns where a decision had an outcome that was not recorded.
UNKNOWN: Any = object()


class Program:
    """The paths of one graph, and the functions that run them."""

    def __init__(self, graph: Graph):
        self.graph: Graph = graph
        self.is_recorded: bool = False

    # --- recording ---

    def add_path(self, tracer: GraphTracer) -> None:
        """Add a recorded path to the tree of steps.

        Raises
        ------
        Refusal
            If the path differs from the others before a decision, or there are too many paths.
        """
        if not self.is_recorded:
            self.graph = tracer.graph
            (self.graph.root, _), *rest = tracer.steps
            self.is_recorded = True
            step = self.graph.root
        else:
            step, rest = self._follow(tracer)
        for new, outcome in rest:
            step.branches[outcome] = new
            step = new
        self.finish()

    def finish(self) -> None:
        """Make the functions that run the graph."""
        self._write_out(self.graph.root)

    def _follow(self, tracer: GraphTracer) -> tuple[Step, list[Any]]:
        """Find the step at which a path leaves the known ones, and the rest of the path."""
        step, rest = self.graph.root, list(tracer.steps)
        matching = _Matching(self.graph, tracer.graph)
        first, _ = rest.pop(0)
        matching.require_same(step, first)
        while rest and rest[0][1] in step.branches:
            new, outcome = rest.pop(0)
            step = step.branches[outcome]
            matching.require_same(step, new)
        if not rest:
            raise Refusal(f"{step.place}: the same decisions led to another result")
        if self.graph.root.paths() >= MAX_PATHS:
            raise Refusal(f"{step.place}: more than {MAX_PATHS} paths, one for each outcome")
        matching.take_over_rest()
        for new, _ in rest:
            matching.renumber(new)
        return step, rest

    def _write_out(self, step: Step) -> set[int]:
        """Make the functions of a step and of all later ones; returns the values that they use."""
        later: set[int] = set()
        for branch in step.branches.values():
            later |= self._write_out(branch)
        step.run = make_step(self.graph, step, later)
        return later | {ref.value for ref in step.refs()}

    # --- running ---

    def run(self, inputs: list[Any]) -> Any:
        """The outputs for these inputs; UNKNOWN if a decision has an outcome without a path.

        Nothing outside of the graph has changed in that case, but the random generator.
        """
        values: list[Any] = [None] * len(self.graph.values)
        for index, tensor in self.graph.tensors.items():
            values[index] = tensor.clone() if index in self.graph.copied else tensor
        for index, given in zip(self.graph.inputs, inputs):
            values[index] = given
        step = self.graph.root
        enabled = grad_mode._mode.enabled
        try:
            while True:
                assert step.run is not None
                result = step.run(values)
                if step.decides is None:
                    return result
                branch = step.branches.get(outcome_key(result))
                if branch is None:
                    return UNKNOWN
                step = branch
        finally:
            grad_mode._mode.enabled = enabled

    @property
    def changes_outside(self) -> bool:
        """Whether a run changes more than the random generator."""
        return any(call.writes_outside for call in self.graph.nodes())


class _Matching:
    """Maps the values of a newly recorded path to those of the graph."""

    def __init__(self, graph: Graph, path: Graph):
        self._graph, self._path = graph, path
        given = ("input", "parameter", "buffer")  # the first values of every path
        self._index = {i: i for i, value in enumerate(path.values) if value.kind in given}

    def require_same(self, known: Step, new: Step) -> None:
        """Raise a Refusal if the same decisions led to other calls."""
        for first, second in zip(known.calls, new.calls):
            if not self._same_call(first, second):
                raise Refusal(
                    f"{second.place}: the same arguments led to another call, of {second.name} "
                    f"instead of {first.name}"
                )
        if len(known.calls) != len(new.calls) or not self._same(known.decides, new.decides):
            raise Refusal(f"{new.place or known.place}: the same arguments led to other calls")

    def _same_call(self, first: Call, second: Call) -> bool:
        same = (
            first.name == second.name
            and first.grad_enabled == second.grad_enabled
            and [path for path, _ in first.outputs] == [path for path, _ in second.outputs]
            and self._same(first.args, second.args)
            and self._same(first.kwargs, second.kwargs)
        )
        for (_, value), (_, other) in zip(first.outputs, second.outputs):
            self._index[other] = value
        return same

    def _same(self, first: Any, second: Any) -> bool:
        """Whether an argument of the graph and one of the path are equal."""
        return same_structure(first, second, self._same_item)

    def _same_item(self, first: Any, second: Any) -> bool:
        if isinstance(first, Ref) and isinstance(second, Ref):
            return first.of_array == second.of_array and self._same_value(first.value, second.value)
        return same_items(first, second)

    def _same_value(self, known: int, new: int) -> bool:
        if new in self._index:
            return self._index[new] == known
        mine, other = self._graph.tensors.get(known), self._path.tensors.get(new)
        if mine is None or other is None:
            return False
        self._index[new] = known
        return mine is other or same_items(mine.array, other.array)

    def take_over_rest(self) -> None:
        """Add the values that the graph does not have."""
        for new, value in enumerate(self._path.values):
            if new not in self._index:
                self._index[new] = len(self._graph.values)
                self._graph.values.append(value)
                if new in self._path.tensors:
                    self._graph.tensors[self._index[new]] = self._path.tensors[new]
        self._graph.copied |= {self._index[new] for new in self._path.copied}

    def _leaf(self, item: Any) -> Any:
        return Ref(self._index[item.value], item.of_array) if isinstance(item, Ref) else item

    def renumber(self, step: Step) -> None:
        """Give the values of a step of the path their indices in the graph."""
        for call in step.calls:
            call.args, call.kwargs = (
                rebuild(call.args, self._leaf),
                rebuild(call.kwargs, self._leaf),
            )
            call.outputs = [(path, self._index[value]) for path, value in call.outputs]
        step.decides = self._leaf(step.decides)
        step.outputs = rebuild(step.outputs, self._leaf)
