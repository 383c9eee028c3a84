"""Recordings of scripts, with their branches and loops."""

from __future__ import annotations

import traceback
from collections.abc import Callable, Sequence
from types import CodeType, FunctionType
from typing import Any

from dtrain.jit.places import is_library_file
from dtrain.jit.surroundings import Surroundings
from dtrain.onnx.aliases import check_writes
from dtrain.onnx.axes import DynamicAxes
from dtrain.onnx.control_flow import ControlFlow
from dtrain.onnx.divisions import warn_of_divisions
from dtrain.onnx.proto import Unsupported
from dtrain.onnx.recording import JoinedGraph, Recording, join, record
from dtrain.onnx.size_reads import warn_of_sizes
from dtrain.onnx.structure import StructureTracer


def record_script(function: Callable[..., Any], axes: DynamicAxes, name: str) -> JoinedGraph:
    """Record a function's branches and loops, at one or several sizes.

    A loop whose number of turns depends on a dynamic size is found by that number, and recorded
    again as a loop.
    """
    kept: set[str] = set()
    lowered: dict[FunctionType, CodeType] = {}
    flows: list[ControlFlow] = []

    def run(args: tuple[Any, ...]) -> Recording:
        return _record(function, args, name, kept, lowered, flows)

    while True:
        recordings = axes.try_sizes(run)
        last = flows[-len(recordings) :]
        new = _differing([flow.counts for flow in last], kept)
        if not new:
            warn_of_sizes([flow.compared for flow in last])
            warn_of_divisions([flow.divided for flow in last])
            return join(recordings)
        kept |= new


def _differing(counts: Sequence[list[tuple[str, int]]], kept: set[str]) -> set[str]:
    """The place of the first other loop whose number of turns differs between recordings."""
    for same in zip(*counts):
        if len(set(same)) > 1 and same[0][0] not in kept:
            return {place for place, _ in same}
    return set()


def _record(
    function: Callable[..., Any], args: tuple[Any, ...], name: str, kept: set[str],
    lowered: dict[FunctionType, CodeType], flows: list[ControlFlow],
) -> Recording:  # fmt: skip
    modules = [module for _, module in Surroundings(function, (args, {})).modules]
    tracer = StructureTracer(name)
    flow = ControlFlow(tracer, modules, kept, lowered)
    flows.append(flow)
    try:
        with flow.functions.in_modules(modules):
            recording = record(function, args, name, tracer, flow.functions.rewrite(function))
            check_writes(recording)
            return recording
    except Unsupported as reason:
        notes = "".join(
            f"; its source is not used: {f.__name__}: {note}"
            for f, note in flow.functions.not_rewritten
        )
        raise Unsupported(f"{reason}{notes}") from None
    except Exception as error:
        function(*args)  # raises it again if it is the user's
        raise Unsupported(
            f"{_place_of(error)}: an int or float that depends on a tensor cannot be used here "
            f"({type(error).__name__}: {error})"
        ) from error


def _place_of(error: Exception) -> str:
    """The last line of the user's that led to an error."""
    frames = traceback.extract_tb(error.__traceback__)
    users = [frame for frame in frames if not is_library_file(frame.filename)]
    return f"{users[-1].filename}:{users[-1].lineno}" if users else "a call"
