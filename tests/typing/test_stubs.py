"""The stubs (`.pyi`) declare what the tables bind: they are as `scripts/generate_stubs.py` makes them."""

import importlib.util
import re
import sys
from pathlib import Path

import pytest

import dtrain

ROOT = Path(__file__).parents[2]

pytestmark = pytest.mark.skipif(
    sys.version_info < (3, 11), reason="the generator needs typing.get_overloads"
)


@pytest.fixture(scope="module")
def generator():
    spec = importlib.util.spec_from_file_location(
        "generate_stubs", ROOT / "scripts/generate_stubs.py"
    )
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def stubs(generator):
    return generator.stubs()


def test_stubs_are_up_to_date(stubs):
    old = [str(path) for path, (text, _) in stubs.items() if path.read_text() != text]
    assert not old, "run: python scripts/generate_stubs.py"


def test_every_stub_is_made_by_the_generator(stubs):
    assert set((ROOT / "dtrain").rglob("*.pyi")) == set(stubs)


def test_definitions_are_sorted(stubs):
    for path, (text, _) in stubs.items():
        names = list(dict.fromkeys(re.findall(r"^ *def (\w+)", text, re.MULTILINE)))
        properties = re.findall(r"@property\n *def (\w+)", text)
        assert names == [*sorted(properties), *sorted(set(names) - set(properties))], path


def test_stubs_declare_every_public_name(stubs):
    for module in (dtrain, dtrain.linalg, dtrain.special):
        path = Path(module.__file__).with_suffix(".pyi")
        declared = {}
        exec(compile(stubs[path][0], str(path), "exec"), declared)
        assert declared["__all__"] == list(module.__all__)
        assert set(module.__all__) <= set(declared)


def test_dir_shows_the_public_names_alone():
    assert {name for name in dir(dtrain) if name[0] != "_"} == set(dtrain.__all__)
    assert dtrain.bfloat16 == "bfloat16"
