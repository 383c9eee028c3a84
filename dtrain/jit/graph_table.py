"""The graphs of a function, by the form of its arguments, in each thread."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from typing import Any

from dtrain.jit.arguments import Identity, describe_inputs, find_repeats, graph_inputs
from dtrain.jit.graph import Graph
from dtrain.jit.program import Program
from dtrain.jit.surroundings import Surroundings


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
class Failure:
    """The error that a graph raised."""

    error: str


class GraphEntry:
    """The graph for arguments of one form.

    is_verified : whether it has run beside the function with the same results
    refusal : why the function runs without it; None if it does not
    """

    def __init__(self, graph: Graph, args: Any, kwargs: Any):
        self.program = Program(graph)
        # for a file: the arguments, and which of them are the same tensor
        self.inputs = describe_inputs(args, kwargs)
        self.repeats = find_repeats(graph_inputs(args, kwargs))
        self.is_verified = False
        self.refusal: str | None = None


class GraphTable:
    """The graphs of a function for one set of modules among its arguments.

    entries : by the form of the arguments and the modes
    surroundings : what the graphs depend on besides the arguments
    resets : how often all graphs were dropped, as that changed
    """

    def __init__(self, surroundings: Surroundings):
        self.entries: dict[Any, GraphEntry] = {}
        self.surroundings = surroundings
        self.resets = 0


class ThreadGraphs(threading.local):
    """The graphs of one thread: ranks may be threads that share a function.

    tables : by the modules among the arguments
    refusal : why the function runs without graphs; None if it does not
    """

    def __init__(self) -> None:
        self.tables: dict[tuple[Identity, ...], GraphTable] = {}
        self.refusal: str | None = None
