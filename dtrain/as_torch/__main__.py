"""`python -m dtrain.as_torch SCRIPT|-m MODULE [ARGS]`: runs a PyTorch program with dtrain."""

from __future__ import annotations

import sys

from dtrain.as_torch.program import run_program
from dtrain.errors import LaunchError

_USAGE = """\
usage: python -m dtrain.as_torch SCRIPT [ARGS]
       python -m dtrain.as_torch -m MODULE [ARGS]

Run a program written for PyTorch: its `import torch` gives dtrain."""


def main(words: list[str]) -> None:
    """Run the program that the command line names."""
    module = words[:1] == ["-m"]
    program = words[module:]
    if words[:1] in (["-h"], ["--help"]):
        print(_USAGE)
    elif not program or (not module and program[0].startswith("-")):
        print(_USAGE, file=sys.stderr)
        sys.exit(2)
    else:
        launched = sys.modules["__main__"]
        try:
            run_program(program[0], program[1:], module)
        except LaunchError as refused:
            if sys.modules["__main__"] is not launched:
                raise  # by the program itself
            print(f"dtrain.as_torch: {refused}", file=sys.stderr)
            sys.exit(2)


if __name__ == "__main__":
    main(sys.argv[1:])
