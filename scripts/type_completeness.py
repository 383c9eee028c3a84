"""Print how many public symbols have a type that an editor knows (`pyright --verifytypes`).

python scripts/type_completeness.py --at-least 98  # exit with 1 below 98 %
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]


def main() -> int:
    """Returns the exit status."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--at-least", type=float, default=0, metavar="PERCENT")
    parser.add_argument("--list", action="store_true", help="the symbols that are not known")
    options = parser.parse_args()
    command = [str(Path(sys.executable).with_name("pyright")), "--verifytypes", "dtrain"]
    command += [f"--pythonpath={sys.executable}"]  # not the first of PATH, which may have no NumPy
    run = subprocess.run(
        [*command, "--ignoreexternal", "--outputjson"],
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": str(ROOT)},  # --verifytypes does not read .pth files
    )
    report = json.loads(run.stdout)["typeCompleteness"]
    if options.list:
        for symbol in report["symbols"]:
            if symbol["isExported"] and not symbol["isTypeKnown"]:
                reasons = "; ".join(d["message"].replace("\n", " ") for d in symbol["diagnostics"])
                print(f"{symbol['name']}: {reasons}")
    counts = report["exportedSymbolCounts"]
    percent = 100 * report["completenessScore"]
    print(
        f"types: {percent:.1f} % of {sum(counts.values())} public symbols are known "
        f"({counts['withAmbiguousType']} ambiguous, {counts['withUnknownType']} unknown)"
    )
    return int(percent < options.at_least)


if __name__ == "__main__":
    sys.exit(main())
