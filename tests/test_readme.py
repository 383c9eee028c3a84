"""What the README shows runs as it stands."""

import re
from pathlib import Path

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text()


def test_the_loops_of_the_readme_run(run_python, tmp_path):
    blocks = re.findall(r"```python\n(.*?)```", README, re.DOTALL)
    assert len(blocks) == 3
    # The second goes on where the first has ended; x and y are its whole data again.
    data = "x, y = dtrain.randn(1000, 20), dtrain.randint(0, 3, (1000,))\n"
    graphs = "x = x[:8]\n" + blocks[2]
    (tmp_path / "train.py").write_text(blocks[0] + data + blocks[1] + graphs)
    for command in (["train.py"], ["-m", "dtrain.cli", "debug", "-n", 4, "train.py"]):
        process = run_python(*command)
        assert process.returncode == 0, process.stderr
    assert (tmp_path / "model.safetensors").exists()


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
    pages = [*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md"), ROOT / "benchmarks" / "README.md"]
    targets = [
        (page.name, target)
        for page in pages
        for target in re.findall(r"\]\(([^)#]+)[^)]*\)", page.read_text())
        if "://" not in target and not (page.parent / target).exists()
    ]
    assert targets == []
