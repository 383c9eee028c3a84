"""The documentation site: its API reference has all public names, its pages what the code says."""

import importlib
import re
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
DOCS = ROOT / "docs"


@pytest.fixture
def scripts(monkeypatch):
    """Imports a module of scripts/ by name."""
    monkeypatch.syspath_prepend(str(ROOT / "scripts"))
    yield importlib.import_module
    for name in ("command_line", "page_output", "reference", "reference_groups"):
        sys.modules.pop(name, None)


def test_each_public_name_stands_in_one_section_of_the_reference(scripts):
    reference = scripts("reference")
    wrong = {
        f"{module.__name__}.{name}": [section.title for section in sections]
        for module in reference.public_modules()
        for name in reference.public_names(module)
        if len(sections := reference.find_sections(module, name)) != 1
    }
    assert wrong == {}, "sort these names into scripts/reference_groups.py"


def test_each_entry_of_the_reference_takes_a_name(scripts):
    reference, groups = scripts("reference"), scripts("reference_groups")
    idle = []
    for section in (section for page in groups.PAGES for section in page.sections):
        module = importlib.import_module(section.module)
        names = reference.public_names(module)
        words = section.takes.split()
        idle += [w for w in words if not any(reference.takes(w, module, name) for name in names)]
        if not any(section in reference.find_sections(module, name) for name in names):
            idle.append(section)
    assert idle == []


@pytest.mark.skipif(sys.version_info < (3, 11), reason="typing.get_overloads")
def test_pages_of_the_reference_ask_for_documentation_and_list_constants(scripts):
    reference, groups = scripts("reference"), scripts("reference_groups")
    shown = {"data", "ranks", "reductions", "nn_utils", "tensors"}
    pages = {p.name: reference.make_page(p) for p in groups.PAGES if p.name in shown}
    assert "::: dtrain.data.DataLoader\n" in pages["data"]
    assert "| `dtrain.distributed.STOPPED` | `75` |" in pages["ranks"]
    # an overloaded function, whose stub mkdocstrings does not find
    assert "### `dtrain.max` { #dtrain.max }" in pages["reductions"]
    assert "::: dtrain.max\n" not in pages["reductions"]
    # a second name of a function, and a type for isinstance alone
    assert "| `dtrain.nn.init.constant` | `dtrain.nn.init.constant_` |" in pages["nn_utils"]
    assert "| `dtrain.FloatTensor` |" in pages["tensors"]


def test_the_page_of_the_command_line_has_each_option_of_each_command(scripts):
    page = scripts("command_line").make_page()
    commands = re.findall(r"^## dtrain (.*)$", page, re.MULTILINE)
    expected = ["bench allreduce", "check", "debug", "doctor", "join", "plot", "run"]
    assert sorted(commands) == expected
    assert (
        "| `-n`, `-np`, `--np` *int* | Number of ranks; default: the slots of the hosts. |" in page
    )
    assert "| `--elastic` | Survivors go on when ranks fail (Open MPI 5). |  |" in page
    assert "| `--grace` *float* | Seconds to write a checkpoint" in page
    assert "dtrain run [OPTIONS] SCRIPT [ARGS...]" in page
    assert "| 75 | stopped by a signal" in page


def test_the_navigation_names_pages_that_exist():
    yaml = pytest.importorskip("yaml")
    nav = yaml.safe_load((ROOT / "mkdocs.yml").read_text())["nav"]
    pages = re.findall(r"'([^']+\.md)'", str(nav))
    assert len(pages) > 20
    made = {"command_line.md"}
    assert [page for page in pages if page not in made and not (DOCS / page).exists()] == []


def test_outputs_of_commands_are_written_into_pages_and_compared(scripts, tmp_path, monkeypatch):
    pages = scripts("page_output")
    page = tmp_path / "page.md"
    page.write_text(
        "<!-- needs bash sys -->\n```console\n$ echo a 12 | tee x.png\nold\n$ echo b\n"
        "    c\n```\n\n<!-- from x.png -->\n![x](y.png)\n"
    )
    assert pages.find_missing(page) == []
    monkeypatch.chdir(tmp_path)
    assert pages.main(str(page)) == 0
    text = page.read_text()
    assert "$ echo a 12 | tee x.png\na 12\n$ echo b\n    c\nb c\n```" in text
    assert (tmp_path / "y.png").read_text() == "a 12\n"
    page.write_text(text.replace("\na 12", "\na   345"))  # another figure is no difference
    assert pages.main("--check", str(page)) == 0
    for line in ("", "b c\nd\n"):  # a line more is printed than the page has, or one less
        page.write_text(text.replace("b c\n", line))
        assert pages.main("--check", str(page)) == 1
    page.write_text(text.replace("sys", "no_such_module"))
    assert pages.find_missing(page) == ["no_such_module"]
