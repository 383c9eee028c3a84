"""`python -m dtrain.distributed.doctor.probes mpi`: prints facts about one library as JSON.

Each probe runs in a process of its own: a broken library may hang, or crash its process.
"""

from __future__ import annotations

import ctypes
import json
import re
import sys
from pathlib import Path
from typing import Any


def mpi() -> dict[str, Any]:
    """The MPI library that mpi4py loads, and its features."""
    from mpi4py import MPI

    vendor, version = MPI.get_vendor()
    path = _find_loaded_library(r"/libmpi\w*\.so")
    library = ctypes.CDLL(path) if path else None
    levels = {
        MPI.THREAD_SINGLE: "single",
        MPI.THREAD_FUNNELED: "funneled",
        MPI.THREAD_SERIALIZED: "serialized",
        MPI.THREAD_MULTIPLE: "multiple",
    }
    return {
        "vendor": vendor,
        "version": ".".join(map(str, version)),
        "path": path,
        "standard": ".".join(map(str, MPI.Get_version())),
        "threads": levels[MPI.Query_thread()],
        # MPICH has ULFM's functions, too, but they hang or fail.
        "ulfm": vendor == "Open MPI" and hasattr(library, "MPIX_Comm_shrink"),
        "cuda": hasattr(library, "MPIX_Query_cuda_support")
        and bool(library.MPIX_Query_cuda_support()),  # type: ignore[union-attr]
    }


def numba() -> dict[str, Any]:
    """Numba's version, if it compiles a function."""
    import numba

    assert numba.njit(lambda x: x + 1)(1) == 2
    return {"version": numba.__version__}


def cuda() -> dict[str, Any]:
    """The versions of CuPy and NCCL, and the GPUs."""
    import cupy

    runtime = cupy.cuda.runtime
    found: dict[str, Any] = {"version": cupy.__version__, "gpus": [], "nccl": None}
    for number in range(runtime.getDeviceCount()):
        properties = runtime.getDeviceProperties(number)
        name, memory = properties["name"].decode(), properties["totalGlobalMem"] >> 30
        found["gpus"].append(f"{name}, {memory} GiB, sm_{properties['major']}{properties['minor']}")
    try:
        from cupy.cuda import nccl

        found["nccl"] = nccl.get_version()
    except (ImportError, AttributeError):
        pass
    return found


def _find_loaded_library(pattern: str) -> str | None:
    """The path of a library that this process has loaded; None if there is none."""
    maps = Path("/proc/self/maps")
    lines = maps.read_text().splitlines() if maps.exists() else []
    return next((line.split()[-1] for line in lines if re.search(pattern, line)), None)


def main() -> None:
    """Print the facts, or the problem, of the library that `sys.argv` names."""
    try:
        print(json.dumps({"mpi": mpi, "numba": numba, "cuda": cuda}[sys.argv[1]]()))
    except Exception as reason:  # of any kind: the user has to know it
        text = str(reason).strip().partition("\n")[0]
        print(json.dumps({"problem": f"{type(reason).__name__}: {text}"}))


if __name__ == "__main__":
    main()
