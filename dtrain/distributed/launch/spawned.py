"""`python -m dtrain.distributed.launch.spawned FILE`: a rank of `spawn`, which wrote the file."""

from __future__ import annotations

import multiprocessing.spawn
import pickle
import sys

from dtrain.distributed.launcher_variables import launched_rank


def main() -> None:
    """Import the script under another name than `__main__`, and call the function."""
    with open(sys.argv[1], "rb") as file:
        program, call = pickle.load(file)
    multiprocessing.spawn.prepare(program)
    fn, args = pickle.loads(call)
    fn(launched_rank(), *args)


if __name__ == "__main__":
    main()
