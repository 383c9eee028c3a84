"""Where the boxes of a picture stand, and which way its edges go."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

_GAP, _CHARACTER = 22, 7.0
#: The kinds of boxes that are drawn to the right of the operation that uses them.
GIVEN = ("parameter", "constant")


@dataclass
class Box:
    """An input, operation or output; `sources` are the boxes above it, with what the edges say."""

    kind: str
    lines: list[str]
    sources: list[tuple[int, str]] = field(default_factory=list)
    level: int = 0
    x: float = 0.0

    @property
    def width(self) -> float:
        return max(len(line) for line in self.lines) * _CHARACTER + 20


def place(boxes: list[Box]) -> None:
    """Give each box a level below its sources', and a position on that level near them."""
    order = sort_boxes(boxes)
    users: dict[int, list[int]] = {}
    for index in order:
        box = boxes[index]
        box.level = max((boxes[s].level + 1 for s, _ in box.sources), default=0)
        for source, _ in box.sources:
            users.setdefault(source, []).append(index)
    for index in reversed(order):  # what has no sources stands right above its first user
        if not boxes[index].sources and users.get(index):
            boxes[index].level = min(boxes[u].level for u in users[index]) - 1
    levels: dict[int, list[int]] = {}
    for index in order:
        levels.setdefault(boxes[index].level, []).append(index)
    for level in sorted(levels):
        row = levels[level]

        def wanted(index: int) -> float:
            sources = [boxes[s] for s, _ in boxes[index].sources]
            near = [box.x for box in sources if box.kind not in GIVEN] or [b.x for b in sources]
            return sum(near) / len(near) if near else 1e6

        row.sort(key=wanted)
        below = [i for i in row if boxes[i].sources]  # parameters stand to the right of these
        total = sum(boxes[i].width + _GAP for i in below or row) - _GAP
        left = (sum(map(wanted, below)) / len(below) if below else 0.0) - total / 2
        for index in row:
            boxes[index].x = left + boxes[index].width / 2
            left += boxes[index].width + _GAP


def sort_boxes(boxes: Sequence[Box]) -> list[int]:
    """The indices of the boxes, sources first."""
    done: dict[int, None] = {}
    for start in range(len(boxes)):
        stack = [start]
        while stack:
            index = stack[-1]
            rest = [s for s, _ in boxes[index].sources if s not in done]
            if rest:
                stack.extend(rest)
            else:
                done.setdefault(index)
                stack.pop()
    return list(done)


def find_way_around(boxes: list[Box], above: Box, below: Box) -> float | None:
    """Where an edge passes to the left of the boxes that stand in its way; None without any."""
    between = [box for box in boxes if above.level < box.level < below.level]
    way = None
    hit = [box for box in between if _is_crossed(box, above, below)]
    while hit:
        way = min(box.x - box.width / 2 for box in hit) - 14
        hit = [box for box in between if abs(way - box.x) < box.width / 2]
    return way


def _is_crossed(box: Box, above: Box, below: Box) -> bool:
    """Whether the curve from one box down to another goes through a third one."""
    for t in (n / 32 for n in range(33)):
        x = above.x + (below.x - above.x) * (3 - 2 * t) * t * t
        level = above.level + (below.level - above.level) * (1.5 * t * (1 - t) + t**3)
        if abs(x - box.x) < box.width / 2 and abs(level - box.level) < 0.4:
            return True
    return False
