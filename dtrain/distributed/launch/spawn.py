"""`spawn`: a function as the ranks of a job (torch.multiprocessing.spawn)."""

from __future__ import annotations

import os
import pickle
import sys
import tempfile
from collections.abc import Callable
from typing import Any

from dtrain.distributed.context import run_context
from dtrain.distributed.launch.job import JobSpec
from dtrain.distributed.launch.supervise import run
from dtrain.distributed.launcher_variables import launched_rank
from dtrain.errors import LaunchError, RankFailedError

_CHILD = "dtrain.distributed.launch.spawned"


def spawn(
    fn: Callable[..., Any],
    args: tuple[Any, ...] = (),
    nprocs: int = 1,
    join: bool = True,
    daemon: bool = False,
    start_method: str = "spawn",
) -> None:
    """Run ``fn(rank, *args)`` as `nprocs` ranks, which MPI's launcher starts on this machine.

    As torch.multiprocessing.spawn, in a program that was started as one process, by ``python``.

    Parameters
    ----------
    fn : a function of a module or of the script, whose last lines stand under
        ``if __name__ == "__main__":``
    args : its further arguments, which can be pickled
    nprocs : the number of ranks
    join : True; to go on meanwhile is refused
    daemon, start_method : without effect

    Raises
    ------
    LaunchError
        If this process is a rank itself, or MPI's launcher is missing.
    RankFailedError
        If a rank raised, or did not come to its end.
    """
    comm = run_context().communicator
    if launched_rank() is not None or (comm is not None and comm.size > 1):
        raise LaunchError(
            "torch.multiprocessing.spawn: the ranks run already: start the program as one process "
            "(python SCRIPT, or python -m dtrain.as_torch SCRIPT), or call "
            f"{getattr(fn, '__name__', 'the function')}(rank, ...) with int(os.environ['RANK']) in "
            "place of spawn()"
        )
    if not join:
        raise ValueError("torch.multiprocessing.spawn: join=False is not supported: omit it")
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "spawn")
        with open(path, "wb") as file:
            pickle.dump((_describe_program(), pickle.dumps((fn, tuple(args)))), file)
        served = getattr(sys.modules.get("torch"), "__version__", "").partition("+")[2]
        words = [_CHILD, path]
        if served.startswith("dtrain"):  # the ranks' `import torch` is served, too
            words = ["dtrain.as_torch", "-m", *words]
        status = run(JobSpec(nprocs, words[0], words[1:], module=True))
    if status:
        raise RankFailedError(
            f"torch.multiprocessing.spawn: a rank failed (exit status {status}); its exception is "
            "printed above"
        )


def _describe_program() -> dict[str, Any]:
    """What a rank needs to import the functions of the script."""
    described: dict[str, Any] = {"sys_path": sys.path, "sys_argv": sys.argv, "dir": os.getcwd()}
    main = sys.modules["__main__"]
    spec = getattr(main, "__spec__", None)
    if spec is not None:
        described["init_main_from_name"] = spec.name
    elif getattr(main, "__file__", None):
        described["init_main_from_path"] = os.path.abspath(str(main.__file__))
    return described
