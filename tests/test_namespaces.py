"""docs/namespaces.md says what there is."""

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]


def test_the_table_of_namespaces_is_up_to_date():
    command = [sys.executable, str(ROOT / "scripts" / "namespaces.py"), "--check"]
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
