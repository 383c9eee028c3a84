"""Pictures of graphs: nothing stands in the way of an edge, and what they say is said once."""

import re
from xml.etree import ElementTree

import pytest

import dtrain
from dtrain import nn
from dtrain.jit.layout import Box, find_way_around, place


class Residual(nn.Module):
    def __init__(self):
        super().__init__()
        self.norm = nn.BatchNorm1d(4)
        self.rest = nn.Sequential(nn.Linear(4, 4), nn.Tanh(), nn.Linear(4, 4))

    def forward(self, x):
        y = x * 2
        for _ in range(3):
            y = y + self.rest(self.norm(y))
        return y


def curves_of(path):
    """The points of a path of lines and cubic curves."""
    points, numbers = [], [float(n) for n in re.findall(r"-?[\d.]+", path)]
    pairs = list(zip(numbers[::2], numbers[1::2]))[1:]
    for (x0, y0), (x1, y1), (x2, y2), (x3, y3) in zip(*(iter(pairs),) * 4):
        for t in (n / 10 for n in range(11)):
            a, b, c, d = (1 - t) ** 3, 3 * t * (1 - t) ** 2, 3 * t * t * (1 - t), t**3
            points.append((a * x0 + b * x1 + c * x2 + d * x3, a * y0 + b * y1 + c * y2 + d * y3))
        if len(points) > 11:  # the line to where this curve begins
            (x, y), (u, v) = points[-12], points[-11]
            points += [(x + (u - x) * n / 10, y + (v - y) * n / 10) for n in range(11)]
    return points


def picture(graph, **options):
    """The boxes as (left, top, right, bottom), the points of each edge, and the texts."""
    root = ElementTree.fromstring(dtrain.jit.draw(graph, **options))
    name = "{http://www.w3.org/2000/svg}"
    boxes = []
    for rect in root.iter(name + "rect"):
        if rect.get("stroke"):
            x, y, w, h = (float(rect.get(key)) for key in ("x", "y", "width", "height"))
            boxes.append((x, y, x + w, y + h))
    edges = [curves_of(p.get("d")) for p in root.iter(name + "path") if p.get("stroke")]
    texts = [(t.text, float(t.get("x")), float(t.get("y"))) for t in root.iter(name + "text")]
    return boxes, edges, texts


@pytest.fixture(scope="module")
def residual():
    compiled = dtrain.compile(Residual())
    compiled(dtrain.ones(3, 4))
    return picture(compiled)


def test_no_box_covers_another_or_an_edge(residual):
    boxes, edges, _ = residual
    for i, (left, top, right, bottom) in enumerate(boxes):
        assert not any(
            left < r and x < right and top < b and y < bottom for x, y, r, b in boxes[:i]
        )
    inside = [
        (x, y)
        for left, top, right, bottom in boxes
        for edge in edges
        for x, y in edge
        if left + 1 < x < right - 1 and top + 1 < y < bottom - 1
    ]
    assert len(edges) > 30
    assert not inside


def test_a_shape_stands_once_below_what_has_it(residual):
    boxes, edges, texts = residual
    shapes = [(x, y) for text, x, y in texts if text == "3×4" and y - 11 in {b[3] for b in boxes}]
    sources = {edge[0] for edge in edges}
    assert len(shapes) == len(set(shapes))
    assert all((x - 6, y - 11) in sources for x, y in shapes)


def test_parameters_do_not_push_operations_aside():
    model = nn.Sequential(*[nn.Linear(4, 4) for _ in range(6)])
    compiled = dtrain.compile(model)
    compiled(dtrain.ones(3, 4))
    _, _, texts = picture(compiled)
    assert len({x for text, x, _ in texts if text in ("linear", "output")}) == 1
    assert sum(text == "linear" for text, _, _ in texts) == 6
    assert "0.weight" not in [text for text, _, _ in picture(compiled, parameters=False)[2]]


def test_an_edge_goes_around_all_boxes_in_its_way():
    boxes = [Box("input", ["x"])]
    boxes += [Box("operation", ["o"], [(i, "")]) for i in range(3)]
    boxes += [Box("operation", ["a wide one"], [(1, "")]), Box("output", ["y"], [(3, ""), (0, "")])]
    place(boxes)
    way = find_way_around(boxes, boxes[0], boxes[-1])
    assert all(abs(way - box.x) > box.width / 2 for box in boxes[1:5])
    assert find_way_around(boxes, boxes[0], boxes[1]) is None


@pytest.mark.parametrize("dynamic", [False, True])
def test_the_operations_of_a_module_are_one_box(dynamic):
    class Block(nn.Module):
        def __init__(self):
            super().__init__()
            self.way, self.side = nn.Linear(4, 4), nn.Linear(4, 4)

        def forward(self, x):
            return self.way(x).tanh() + self.side(x)

    model = nn.Sequential(nn.Linear(4, 4), nn.Sequential(Block(), Block()))
    x = dtrain.ones(3, 4)
    compiled = dtrain.compile(model)
    compiled(x)
    graph = model(x).sum() if dynamic else compiled

    def texts(**options):
        found = picture(graph, names=model.named_parameters(), **options)[2]
        return [
            text for text, _, y in sorted(found, key=lambda text: text[2]) if text[0] in "01_lo"
        ]

    assert [text for text in texts(depth=1) if text[0] in "01"] == ["0", "1"]
    assert [text for text in texts(depth=2) if text[0] in "01"] == ["0", "1.0", "1.1"]
    assert "1.0.way.weight" not in texts(depth=2)
    with pytest.raises(ValueError, match="depth of 1 or more, or None, got 0"):
        dtrain.jit.draw(graph, depth=0)


def test_branches_are_not_joined_into_one_box():
    class Model(nn.Module):
        def __init__(self):
            super().__init__()
            self.layer = nn.Linear(4, 4)

        def forward(self, x):
            return self.layer(x) if x.sum() > 0 else self.layer(x).tanh()

    compiled = dtrain.compile(Model())
    for sign in (1, -1):
        compiled(dtrain.ones(3, 4) * sign)
    assert [text for text, *_ in picture(compiled, depth=1)[2]].count("layer") == 2
