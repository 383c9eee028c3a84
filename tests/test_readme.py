"""What the README shows runs as it stands."""

import re
from pathlib import Path

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text()


def python_blocks(page):
    return re.findall(r"```python\n(.*?)```", page, re.DOTALL)


def test_the_loop_of_the_readme_runs_to_the_same_bits_and_so_do_the_graphs_of_its_model(
    run_python, tmp_path
):
    [loop] = python_blocks(README)
    [graphs] = python_blocks((ROOT / "docs" / "tutorials" / "graph.md").read_text())
    (tmp_path / "train.py").write_text(f"{loop}x = x[:8]\n{graphs}")
    said = []
    for command in (["train.py"], ["-m", "dtrain.cli", "debug", "-n", 4, "train.py"]):
        process = run_python(*command)
        assert process.returncode == 0, process.stderr
        said.append(re.sub(r"^\[\d\] ", "", process.stdout, flags=re.MULTILINE))
        for name in ("model.safetensors", "model.dtg", "graph.svg", "model.onnx"):
            (tmp_path / name).unlink()
    losses = [float(loss) for loss in re.findall(r"loss (\S+)", said[0])]
    assert len(losses) == 5
    assert losses[-1] < losses[0] / 2
    assert re.search(r"^weights [0-9a-f]{64}$", said[0], re.MULTILINE)
    assert said[1] == said[0]


def test_the_tree_of_the_readme_is_the_projects():
    package = ROOT / "dtrain"
    folders = {path.name for path in package.iterdir() if (path / "__init__.py").exists()}
    tree = README.partition("## The tree")[2]
    assert folders == set(re.findall(r"(\w+)/", tree)) & folders


def test_the_messages_of_the_troubleshooting_page_are_the_librarys():
    page = (ROOT / "docs" / "troubleshooting.md").read_text().partition("## Exit status")[0]
    sources = "".join(path.read_text() for path in (ROOT / "dtrain").rglob("*.py"))
    joined = re.sub(r'"\s*f?"', "", sources)  # texts that go on in the next line
    messages = re.findall(r"^\| `([^`]+)` \|", page, re.MULTILINE)
    assert len(messages) > 10
    pieces = [piece.strip() for message in messages for piece in message.split("...")]
    assert [piece for piece in pieces if piece not in joined] == []


def test_the_links_of_the_pages_exist():
    pages = [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md"), ROOT / "benchmarks" / "README.md"]
    targets = [
        (page.name, target)
        for page in pages
        for target in re.findall(r"\]\(([^)#]+)[^)]*\)", page.read_text())
        if "://" not in target and not target.startswith("../reference/")  # made with the site
        if target != "command_line.md" and not (page.parent / target).exists()
    ]
    assert targets == []
