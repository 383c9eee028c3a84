"""How a run was started: git revision, arguments, versions, number of ranks."""

from __future__ import annotations

import platform
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from dtrain.distributed import job_name, restart_count, world

_PACKAGES = ("dtrain", "numpy", "scipy", "mpi4py", "numba", "cupy-cuda13x")


def describe_run(config: dict[str, Any] | None = None) -> dict[str, Any]:
    """The start of a run as JSON can hold it.

    >>> describe_run()["world_size"]
    1
    """
    return {
        "started": time.strftime("%Y-%m-%dT%H:%M:%S%z"),
        "arguments": sys.argv,
        "config": config or {},
        "git": _describe_git(Path(sys.argv[0] or ".").resolve().parent),
        "world_size": world.world_size(),
        "job": job_name(),
        "restart": restart_count(),
        "host": platform.node(),
        "python": platform.python_version(),
        "versions": {name: found for name in _PACKAGES if (found := _find_version(name))},
    }


def _find_version(package: str) -> str | None:
    from importlib import metadata  # here: it is slow to import, and only rank 0 needs it

    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None


def _describe_git(folder: Path) -> dict[str, Any] | None:
    """The revision of the script's repository, and whether files differ from it; None without."""
    revision = _run_git(folder, "rev-parse", "HEAD")
    if revision is None:
        return None
    changed = _run_git(folder, "status", "--porcelain", "--untracked-files=no")
    return {"revision": revision, "changed": bool(changed)}


def _run_git(folder: Path, *arguments: str) -> str | None:
    try:
        process = subprocess.run(
            ["git", *arguments], cwd=folder, capture_output=True, text=True, timeout=10
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return process.stdout.strip() if process.returncode == 0 else None
