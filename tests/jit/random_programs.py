"""Programs of random structure, as source texts: branches, loops, shapes."""

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


def assignments():
    forms = st.sampled_from(UNARY + BINARY + SHAPES)
    return st.builds(
        lambda name, form, one, other: [f"{name} = " + form.format(one, other or one)],
        NAMES, forms, NAMES, NAMES,
    )  # fmt: skip


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
    shrinking = NAMES.map(lambda name: [f"while {name}.abs().max() > 2.0:", f"    {name} *= 0.25"])
    return st.one_of(branch, loop, shrinking)


def programs():
    statement = st.recursive(assignments(), nested, max_leaves=5)
    return st.lists(statement, min_size=2, max_size=5).map(
        lambda blocks: "\n".join(
            [
                "import dtrain",
                "def program(x, w, k: float):",
                "    a, b, c = x * 1.5, x - w[:2], x.sin()",
                *indented(blocks),
                "    return a + b, c.sum() * k",
            ]
        )
    )


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
