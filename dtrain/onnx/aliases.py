"""Writes in place to tensors that are another one after one branch alone: a file cannot have them.

After ``z = y if test else x`` the name z may stand for the tensor of y. In a file it is a value of
its own, so that a write to one would not be seen in the other.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from dtrain.jit.graph import Call, Ref, Step, refs_in
from dtrain.onnx.blocks import BlockCall, blocks_of
from dtrain.onnx.proto import Unsupported
from dtrain.onnx.recording import Recording, makes_view


def check_writes(recording: Recording) -> None:
    """Refuse a value that is used after a write to another one that may be the same tensor.

    Raises
    ------
    Unsupported
        With the line of the write.
    """
    _Aliases(recording.copies).walk(recording.step)


class _Aliases:
    """Which tensors a value may be, and which have been written to under another name."""

    def __init__(self, copies: set[int]):
        self._copies = copies
        self._bases: dict[int, int] = {}  # of views
        self._may_be: dict[int, set[int]] = {}
        self._stale: dict[int, str] = {}  # value: the line of the write

    def _base(self, value: int) -> int:
        while value in self._bases:
            value = self._bases[value]
        return value

    def _tensors(self, value: int) -> set[int]:
        base = self._base(value)
        return {base} | self._may_be.get(base, set())

    def walk(self, step: Step) -> None:
        """Follow the calls of a step in order."""
        for call in step.calls:
            self._read(call.refs())
            if isinstance(call, BlockCall):
                self._walk_blocks(call)
            elif call.name in ("copy_", "setitem"):
                self._write(call)
            elif self._makes_view(call):
                self._bases[call.outputs[0][1]] = call.args[0].value
        self._read(refs_in(step.outputs))

    def _makes_view(self, call: Call) -> bool:
        is_copy = any(index in self._copies for _, index in call.outputs)
        return not is_copy and makes_view(call) and isinstance(call.args[0], Ref)

    def _read(self, refs: Iterable[Ref]) -> None:
        for ref in refs:
            place = self._stale.get(self._base(ref.value))
            if place is not None:
                raise Unsupported(
                    f"{place}: it writes to a tensor that is another variable's, too, after one "
                    "of the branches or turns alone; write to a copy: clone()"
                )

    def _write(self, call: Call) -> None:
        base = self._base(call.args[0].value)
        written = self._tensors(base)
        for other in {*self._may_be, *written} - {base}:
            if written & self._tensors(other):
                self._stale.setdefault(other, call.place)

    def _walk_blocks(self, call: BlockCall) -> None:
        if call.name == "if":
            before, after = dict(self._stale), dict(self._stale)
            for block in blocks_of(call):
                self._stale = dict(before)
                self.walk(block.step)
                after |= self._stale
            self._stale = after
            for block in blocks_of(call):
                self._link([i for _, i in call.outputs], block.step.outputs)
            return
        (block,) = blocks_of(call)
        inputs, given, ends = block.inputs[1:], call.args[2], block.step.outputs[1:]
        self._link(inputs, given)
        for _ in range(2):  # what a turn ends with is what the next one begins with
            self.walk(block.step)
            self._link(inputs, ends)
        outputs = [i for _, i in call.outputs]
        self._link(outputs, given)
        self._link(outputs, ends)

    def _link(self, values: list[int], same: Any) -> None:
        """Each of some values may be what stands for it in `same`."""
        for value, other in zip(values, same):
            if isinstance(other, Ref):
                self._may_be.setdefault(value, set()).update(self._tensors(other.value))
