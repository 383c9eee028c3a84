"""Blocks: the calls of a branch or a loop's body, within a call "if" or "loop" of a recording."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

from dtrain.jit.graph import Call, Ref, Step, refs_in
from dtrain.onnx.proto import Unsupported


@dataclass
class Block:
    """The calls of a branch or a loop's body.

    step : the calls; its outputs are a list of Refs and constants, in a loop's body the condition
        and what the next turn begins with
    inputs : in a loop's body the values of the turn's number and of what it begins with
    """

    step: Step
    inputs: list[int] = field(default_factory=list)

    def refs(self) -> Iterator[Ref]:
        """The values that the block uses, those of blocks within it, too."""
        yield from all_refs(self.step)


@dataclass
class BlockCall(Call):
    """A call "if": of a condition; "loop": of a number of turns or None, a first condition, and
    what the first turn begins with."""

    blocks: list[Block] = field(default_factory=list)


def blocks_of(call: Call) -> list[Block]:
    """The blocks of a call; most calls have none."""
    return call.blocks if isinstance(call, BlockCall) else []


def all_calls(step: Step) -> Iterator[Call]:
    """The calls of a step and of the blocks in it."""
    for call in step.calls:
        yield call
        for block in blocks_of(call):
            yield from all_calls(block.step)


def all_refs(step: Step) -> Iterator[Ref]:
    """The values that a step, and the blocks in it, use."""
    yield from step.refs()
    for call in step.calls:
        for block in blocks_of(call):
            yield from block.refs()


def _writes(call: Call) -> bool:
    own = call.writes_outside or call.name in ("copy_", "setitem")
    return own or any(_writes(c) for block in blocks_of(call) for c in block.step.calls)


def remove_unused(step: Step, outputs: Any) -> Step:
    """The calls on which outputs depend, and those that change something."""
    wanted = {ref.value for ref in refs_in(outputs)}
    kept: list[Call] = []
    for call in reversed(step.calls):
        if not _writes(call) and not any(index in wanted for _, index in call.outputs):
            continue
        if call.name == "if":
            _remove_outputs(call, wanted)
        for block in blocks_of(call):
            block.step = remove_unused(block.step, block.step.outputs)
            wanted.update(ref.value for ref in block.refs())
        kept.append(call)
        wanted.update(ref.value for ref in call.refs())
    made = Step(kept[::-1])
    made.outputs = outputs
    return made


def _remove_outputs(call: Call, wanted: set[int]) -> None:
    """Drop the results of a call "if" that are not wanted."""
    places = [i for i, (_, index) in enumerate(call.outputs) if index in wanted]
    call.outputs = [call.outputs[i] for i in places]
    for block in blocks_of(call):
        block.step.outputs = [block.step.outputs[i] for i in places]


def check_scopes(step: Step, outer: set[int]) -> None:
    """Refuse a value that is used outside of the block that makes it.

    Raises
    ------
    Unsupported
        With the line of the call that makes it.
    """
    places = {index: call.place for call in all_calls(step) for _, index in call.outputs}
    _check_scopes(step, outer, places)


def _check_scopes(step: Step, outer: set[int], places: dict[int, str]) -> None:
    known = set(outer)
    for call in step.calls:
        _require(call.refs(), known, places)
        for block in blocks_of(call):
            _check_scopes(block.step, known | set(block.inputs), places)
        known.update(index for _, index in call.outputs)
    _require(refs_in(step.outputs), known, places)


def _require(refs: Iterable[Ref], known: set[int], places: dict[int, str]) -> None:
    for ref in refs:
        if ref.value not in known:
            raise Unsupported(
                f"{places.get(ref.value, 'a loop')}: a value that a branch or loop makes here is "
                "used after it otherwise than through a variable that it assigns"
            )
