"""`draw`: a computational graph as an SVG picture, from the inputs down to the loss.

Drawn are the recorded graph of a function, or the dynamic graph behind a Tensor.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from html import escape
from pathlib import Path
from typing import Any

from dtrain.autograd.graph import Node
from dtrain.autograd.tensor import Tensor
from dtrain.jit.compiled_function import ScriptFunction
from dtrain.jit.compiled_module import CompiledModule
from dtrain.jit.folding import fold
from dtrain.jit.graph import Graph, Step, refs_in
from dtrain.jit.layout import Box, find_way_around, place

_ROW, _HEIGHT = 74, 34
_COLORS = {
    "input": "#dbeafe", "parameter": "#fde68a", "constant": "#e5e7eb", "operation": "#dcfce7",
    "decision": "#fbcfe8", "output": "#e9d5ff",
}  # fmt: skip


#: The kinds of values that calls make.
_RESULTS = ("tensor", "array", "number")


def draw(
    graph: Any,
    path: str | Path | None = None,
    *,
    parameters: bool = True,
    names: Mapping[str, Tensor] | Iterable[tuple[str, Tensor]] = (),
    depth: int | None = None,
) -> str:
    """Draw a graph as SVG, and write it to a file; returns the SVG.

    Parameters
    ----------
    graph : a Graph, what `jit.script`, `jit.trace` or `compile` made, or a Tensor such as the
        loss, of which the dynamic graph is drawn
    path : the file to write, if any
    parameters : draw parameters and constants, too
    names : names of leaves, for a Tensor: ``model.named_parameters()``
    depth : draw one box for the operations of each module with so many names in its path, as
        ``layer1.0`` for 2; operations without parameters belong to the module before them

    >>> import dtrain
    >>> x = dtrain.ones(2, requires_grad=True)
    >>> svg = draw((x * 2).sum(), names={"x": x})
    >>> svg.startswith("<svg"), "mul" in svg
    (True, True)
    """
    if isinstance(graph, (ScriptFunction, CompiledModule)):
        graph = graph.graph
    if depth is not None and depth < 1:
        raise ValueError(f"draw: expected a depth of 1 or more, or None, got {depth}")
    with_parameters = parameters or depth is not None  # their names tell the modules
    if isinstance(graph, Tensor):
        boxes = _boxes_of_tensor(graph, dict(names), with_parameters)
    elif isinstance(graph, Graph):
        boxes = _boxes_of_graph(graph, with_parameters)
    else:
        raise TypeError(f"draw: expected a graph or a Tensor, got {type(graph).__name__}")
    if depth is not None:
        boxes = fold(boxes, depth, parameters)
    place(boxes)
    svg = _svg(boxes)
    if path is not None:
        Path(path).write_text(svg)
    return svg


def _shape(shape: Iterable[int]) -> str:
    return "×".join(map(str, shape)) or "scalar"


def _boxes_of_tensor(loss: Tensor, names: dict[str, Tensor], parameters: bool) -> list[Box]:
    """The dynamic graph behind a Tensor."""
    labels = {id(tensor): name for name, tensor in names.items()}
    boxes: list[Box] = []
    known: dict[int, int] = {}

    def add(item: Any) -> int:
        if isinstance(item, Node):
            box = Box("operation", [item.name])
        else:
            box = Box("parameter", [labels.get(id(item), "leaf"), _shape(item.shape)])
        boxes.append(box)
        known[id(item)] = len(boxes) - 1
        return known[id(item)]

    root = loss.grad_fn
    if root is None:
        raise RuntimeError("draw: this tensor has no graph: it requires no grad, or is a leaf")
    waiting = [root]
    add(root)
    while waiting:
        node = waiting.pop()
        for parent in node.parents:
            if parent is None or not (parameters or isinstance(parent, Node)):
                continue
            if id(parent) not in known:
                add(parent)
                if isinstance(parent, Node):
                    waiting.append(parent)
            boxes[known[id(node)]].sources.append((known[id(parent)], _shape(parent.shape or ())))
    boxes.append(Box("output", ["output"], [(known[id(root)], _shape(loss.shape))]))
    return boxes


def _boxes_of_graph(graph: Graph, parameters: bool) -> list[Box]:
    """A recorded graph, its branches one beside the other."""
    boxes: list[Box] = []
    made: dict[int, int] = {}

    def box_of(value: int) -> int | None:
        if value not in made:
            entry = graph.values[value]
            kind = {"buffer": "parameter"}.get(entry.kind, entry.kind)
            if kind != "input" and not parameters:
                return None
            text = _shape(entry.shape) if entry.dtype is not None else "number"
            boxes.append(Box(kind, [graph.label(value), text]))
            made[value] = len(boxes) - 1
        return made[value]

    def sources(argument: Any) -> list[tuple[int, str]]:
        found = []
        for ref in refs_in(argument):
            box = box_of(ref.value)
            if box is not None:
                found.append((box, _shape(graph.values[ref.value].shape)))
        return found

    def add(step: Step, decision: list[tuple[int, str]]) -> None:
        for call in step.calls:
            given = sources((call.args, call.kwargs))
            boxes.append(Box("operation", [call.name], given or decision))
            for _, value in call.outputs:
                made[value] = len(boxes) - 1
        if step.decides is None:
            boxes.append(Box("output", ["output"], sources(step.outputs) or decision))
            return
        boxes.append(Box("decision", ["if"], sources(step.decides)))
        index = len(boxes) - 1
        for outcome, branch in step.branches.items():
            before = dict(made)
            first = len(boxes)
            add(branch, [(index, str(outcome))])
            if branch.calls and first < len(boxes):
                start = next(b for b in boxes[first:] if b.kind == "operation")
                start.sources = [*start.sources, (index, str(outcome))]
            outside = {v: b for v, b in made.items() if graph.values[v].kind not in _RESULTS}
            made.clear()
            made.update(before | outside)

    for value in graph.inputs:
        box_of(value)
    add(graph.root, [])
    used = {source for box in boxes for source, _ in box.sources}
    kept = [i for i, box in enumerate(boxes) if box.kind in ("output", "input") or i in used]
    new = {old: index for index, old in enumerate(kept)}
    for i in kept:
        boxes[i].sources = [(new[s], text) for s, text in boxes[i].sources if s in new]
    return [boxes[i] for i in kept]


def _svg(boxes: list[Box]) -> str:
    left = min(box.x - box.width / 2 for box in boxes) - 40
    right = max(box.x + box.width / 2 for box in boxes) + 20
    height = (max(box.level for box in boxes) + 1) * _ROW + 20
    lowest = min(box.level for box in boxes)

    def top(box: Box) -> float:
        return (box.level - lowest) * _ROW + 20

    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="{left:.0f} 0 {right - left:.0f} '
        f'{height - lowest * _ROW:.0f}" width="{right - left:.0f}" font-family="sans-serif" '
        'font-size="12">',
        '<defs><marker id="arrow" viewBox="0 0 8 8" refX="8" refY="4" markerWidth="7" '
        'markerHeight="7" orient="auto"><path d="M0 0L8 4L0 8z" fill="#6b7280"/></marker></defs>',
        f'<rect x="{left:.0f}" y="0" width="100%" height="100%" fill="white"/>',
    ]
    labels: dict[int, dict[str, None]] = {}  # of each box what its edges say, each once
    for box in boxes:
        for source, text in box.sources:
            above = boxes[source]
            x0, y0, x1, y1 = above.x, top(above) + _HEIGHT, box.x, top(box)
            around = find_way_around(boxes, above, box)
            parts.append(
                f'<path d="{_curve(x0, y0, x1, y1, around)}" fill="none" stroke="#6b7280" '
                'marker-end="url(#arrow)"/>'
            )
            if above.kind == "decision":
                parts.append(_label((x0 + x1) / 2 + 4, (y0 + y1) / 2, text))
            elif above.kind == "operation":
                labels.setdefault(source, {})[text] = None
    for source, texts in labels.items():
        above = boxes[source]
        parts.append(_label(above.x + 6, top(above) + _HEIGHT + 11, ", ".join(texts)))
    for box in boxes:
        x, y = box.x - box.width / 2, top(box)
        radius = 4 if box.kind == "operation" else _HEIGHT / 2
        parts.append(
            f'<rect x="{x:.1f}" y="{y:.1f}" width="{box.width:.1f}" height="{_HEIGHT}" '
            f'rx="{radius}" fill="{_COLORS.get(box.kind, "#eeeeee")}" stroke="#374151"/>'
        )
        first = y + (_HEIGHT / 2 + 4 if len(box.lines) == 1 else 14)
        for number, line in enumerate(box.lines):
            parts.append(
                f'<text x="{box.x:.1f}" y="{first + 13 * number:.1f}" text-anchor="middle">'
                f"{escape(line)}</text>"
            )
    return "\n".join([*parts, "</svg>"]) + "\n"


def _curve(x0: float, y0: float, x1: float, y1: float, around: float | None) -> str:
    """The path from one point down to another, straight down at `around` between the two."""
    if around is None:
        points = [(x0, y0, x1, y1)]
    else:
        bend = _ROW - _HEIGHT
        points = [(x0, y0, around, y0 + bend), (around, y1 - bend, x1, y1)]
    text = f"M{x0:.1f} {y0:.1f}"
    for a, b, c, d in points:
        middle = (b + d) / 2
        text += f"L{a:.1f} {b:.1f}C{a:.1f} {middle:.1f} {c:.1f} {middle:.1f} {c:.1f} {d:.1f}"
    return text


def _label(x: float, y: float, text: str) -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" font-size="9" fill="#4b5563">{escape(text)}</text>'
