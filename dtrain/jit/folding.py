"""`fold`: the boxes of a picture, with one for the operations of each module."""

from __future__ import annotations

from collections.abc import Sequence

from dtrain.jit.layout import GIVEN, Box, sort_boxes


def fold(boxes: Sequence[Box], depth: int, parameters: bool) -> list[Box]:
    """One box instead of operations that follow each other and belong to one module.

    The order of the boxes is kept, so a module that runs twice, with others in between, has two.

    Parameters
    ----------
    depth : how many names a module's path has: that of ``layer1.0.conv1.weight`` is ``layer1``
        for 1, ``layer1.0`` for 2
    parameters : keep parameters and constants that are no module's alone
    """
    order = sort_boxes(boxes)
    modules = _find_modules(boxes, order, depth)
    folded: list[Box] = []
    made: dict[int, int] = {}
    operations: dict[int, list[str]] = {}  # of each folded box
    current = -1  # the box of the operations before
    for index in order:
        box, module = boxes[index], modules.get(index, "")
        if box.kind in GIVEN and (module or not parameters):
            continue
        begins_branch = any(boxes[source].kind == "decision" for source, _ in box.sources)
        is_more = module and current >= 0 and folded[current].lines[0] == module
        if is_more and box.kind == "operation" and not begins_branch:
            made[index] = current
        else:
            folded.append(Box(box.kind, [module] if module else box.lines))
            made[index] = len(folded) - 1
            if box.kind not in (*GIVEN, "input"):
                current = made[index] if module else -1
        if module:
            operations.setdefault(made[index], []).append(box.lines[0])
        edges = [(made[source], text) for source, text in box.sources if source in made]
        target = folded[made[index]]
        target.sources += [e for e in dict.fromkeys(edges) if e[0] != made[index]]
        target.sources = list(dict.fromkeys(target.sources))
    for index, names in operations.items():
        folded[index].lines.append(names[0] if len(names) == 1 else f"{len(names)} operations")
    return folded


def _find_modules(boxes: Sequence[Box], order: Sequence[int], depth: int) -> dict[int, str]:
    """The module of each operation: that of its parameters, or of the last operation whose result
    it takes; and of each parameter that this module's operations alone take."""
    found: dict[int, str] = {}
    places = {index: place for place, index in enumerate(order)}
    users: dict[int, set[str]] = {}
    for index in order:
        if boxes[index].kind != "operation":
            continue
        sources = [source for source, _ in boxes[index].sources]
        given = [source for source in sources if boxes[source].kind in GIVEN]
        before = sorted(
            (s for s in sources if boxes[s].kind == "operation"), key=places.__getitem__
        )
        own = [_module(boxes[source].lines[0], depth) for source in given]
        inherited = [found.get(source, "") for source in before[-1:]]
        found[index] = next(filter(None, [*own, *inherited]), "")
        for source in given:
            users.setdefault(source, set()).add(found[index])
    for source, takers in users.items():
        if len(takers) == 1:
            found[source] = takers.pop()
    return found


def _module(parameter: str, depth: int) -> str:
    """The path of the module of a parameter, or "" for one of the whole model."""
    return ".".join(parameter.split(".")[:-1][:depth])
