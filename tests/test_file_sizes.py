"""A file has one subject, so it is short; only tables, tests and stubs may be longer."""

from pathlib import Path

ROOT = Path(__file__).parents[1]
LONGEST = 400
TABLES = {"dtrain/functions/table.py"}


def test_no_file_is_longer_than_400_lines():
    files = [
        f for folder in ("dtrain", "scripts", "examples") for f in (ROOT / folder).rglob("*.py")
    ]
    lengths = {str(f.relative_to(ROOT)): len(f.read_text().splitlines()) for f in files}
    long = {name: n for name, n in lengths.items() if n > LONGEST and name not in TABLES}
    assert not long
