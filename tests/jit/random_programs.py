"""Programs of random structure, as source texts: branches, loops, shapes, containers, integer and
bool tensors, early returns, writes in place, calls of functions and of a module with a buffer."""

import importlib.util
import sys

from hypothesis import HealthCheck, Phase, settings, strategies as st

NAMES = st.sampled_from("abc")  # tensors of shape (2, 4); `w` has shape (4, 4)
UNARY = ("{}.tanh()", "{}.relu()", "({} * 0.5).exp()", "{}.softmax(-1)", "{}.detach() + x", "-{}")
BINARY = ("{} + {}", "{} * {}.mean()", "{} @ w - {}", "dtrain.where({} > 0, {}, x)")
SHAPES = (
    "{}.reshape(4, 2).t().reshape(2, 4)",
    "dtrain.cat({}.chunk(2, -1)[::-1], -1)",
    "{}.t().contiguous().t()",
    "{}[:, [3, 1, 0, 2]]",
    "({}[0] + {}[1:]).expand(2, 4) + 0",
)


WRITES = (
    "{0} = {0} * 1.0; {0}[:, 1] = {1}[:, 0]",
    "{0} = {0}.clone(); {0}[{0} > 1.0] = 0.5",
    "{0} = {0} + 0; {0}.t().mul_(0.5)",
    "{0} = {0}.contiguous() * 1.0; {0}.view(-1)[::3] += {1}.sum()",
    "{0} = {0}.clone(); {0}.index_add_(0, {1}.argmax(0) % 2, w * 0.1)",
)
INTEGERS = (
    "{}.argmax(-1, keepdim=True) + {}",
    "({} > 0).sum(0) // 2 + {}",
    "{}.masked_fill(~(x > 0) | ({} > 1), 0.25)",
    "{}.gather(1, ({}.abs() * 3).long() % 4)",
    "{} * (({} > 0) == (x < 1)).any(0)",
)
CONTAINERS = (
    "mixed({}, other={})['sum']",
    "mixed({}, {})['pair'][1]",
    "sum([{}, {}, x])",
    "[part * 2 for part in ({}, {})][-1]",
    "{{'k': {}, 'j': {}}}['j'] * 1.5",
    "layer({}) - {}",
)
HEAD = """import dtrain
from dtrain import nn

def mixed(one, other):
    if one.mean() > other.mean():
        return {"sum": one + other, "pair": (one, other * 2)}
    return {"sum": one - other, "pair": (other, one.tanh())}

class Layer(nn.Module):
    def __init__(self):
        super().__init__()
        self.register_buffer("scale", dtrain.tensor([[1.0, -0.5, 0.25, 2.0]]))
        self.steps = 2

    def forward(self, y):
        for i in range(self.steps):
            if y.sum() > i:
                y = y * self.scale
        return y

layer = Layer()
"""


def assignments():
    forms = st.sampled_from(UNARY + BINARY + SHAPES + INTEGERS + CONTAINERS)
    return st.builds(
        lambda name, form, one, other: [f"{name} = " + form.format(one, other or one)],
        NAMES, forms, NAMES, NAMES,
    )  # fmt: skip


def writes():
    return st.builds(
        lambda form, one, other: [form.format(one, other)], st.sampled_from(WRITES), NAMES, NAMES
    )


def indented(blocks):
    return ["    " + line for block in blocks for line in block]


def nested(inner):
    blocks = st.lists(inner, min_size=1, max_size=3).map(indented)
    limits = st.sampled_from(("0.0", "k", "b.mean()"))
    branch = st.builds(
        lambda name, limit, then, other: [f"if {name}.sum() > {limit}:", *then, "else:", *other],
        NAMES, limits, blocks, blocks,
    )  # fmt: skip
    loop = st.builds(
        lambda n, body: [f"for i in range({n}):", *body, "    c = c + i"], st.integers(1, 3), blocks
    )
    ending = st.sampled_from(("break", "continue"))
    left = st.builds(
        lambda n, body, name, end: [
            f"for i in range({n}):", *body, f"    if {name}.sum() > i:", f"        {end}",
            f"    {name} = {name} * 0.5 - i",
        ],
        st.integers(1, 3), blocks, NAMES, ending,
    )  # fmt: skip
    shrinking = st.builds(
        lambda name, body: [
            "n = 0", f"while {name}.abs().max() > 2.0 and n < 4:", *body,
            f"    {name} = {name} * 0.25", "    n += 1",
        ],
        NAMES, blocks,
    )  # fmt: skip
    early = st.builds(
        lambda name, limit, other: [
            f"if {name}.mean() > {limit} or {other}.max() < k:", f"    return {other}, {name}.mean()"
        ],
        NAMES, st.sampled_from(("1.0", "k", "-0.5")), NAMES,
    )  # fmt: skip
    return st.one_of(branch, loop, left, shrinking, early)


def programs(has_writes):
    """`has_writes`: with writes in place; ONNX refuses them where two variables share memory after
    one branch alone."""
    simple = st.one_of(assignments(), assignments(), writes()) if has_writes else assignments()
    statement = st.recursive(simple, nested, max_leaves=6)
    straight, branching = (st.lists(part, min_size=2, max_size=5) for part in (simple, statement))
    return st.one_of(straight, branching, branching).map(
        lambda blocks: "\n".join(
            [
                HEAD,
                "def program(x, w, k: float):",
                "    a, b, c = x * 1.5, x - w[:2], x.sin()",
                *indented(blocks),
                "    return a + b, c.sum() * k",
            ]
        )
    )


def has_one_path(text):
    """Whether a program's path does not depend on values."""
    body = text.removeprefix(HEAD)
    return not any(part in body for part in ("if ", "while ", "mixed(", "layer("))


def load_program(folder, text):
    """The function of a source text, from a file, as `jit.script` reads the source."""
    path = folder / f"random_program_{len(list(folder.iterdir()))}.py"
    path.write_text(text)
    spec = importlib.util.spec_from_file_location(path.stem, path)
    module = sys.modules[path.stem] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    del sys.modules[path.stem]
    return module.program


def examples(count):
    """Hypothesis' settings for a number of programs, the same in each run."""
    return settings(
        max_examples=count, deadline=None, database=None, derandomize=True,
        phases=[Phase.generate], suppress_health_check=list(HealthCheck),
    )  # fmt: skip
