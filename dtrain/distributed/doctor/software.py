"""The versions of the software that computes: ranks with other versions give other bits."""

from __future__ import annotations

import platform
from importlib import metadata
from pathlib import Path

_PACKAGES = ("dtrain", "numpy", "numba", "mpi4py", "safetensors", "ml_dtypes")


def software() -> dict[str, str]:
    """Versions by name: Python, the packages, NumPy's BLAS and the processor."""
    versions = {"Python": platform.python_version()}
    for package in _PACKAGES:
        try:
            versions[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            versions[package] = "not installed"
    return {**versions, "BLAS": _blas(), "processor": _processor()}


def _blas() -> str:
    import numpy  # noqa: F401  loads it
    from threadpoolctl import threadpool_info

    found = [pool for pool in threadpool_info() if pool["user_api"] == "blas"]
    names = [
        f"{pool['internal_api']} {pool['version']} {pool.get('architecture', '')}" for pool in found
    ]
    return ", ".join(sorted({name.strip() for name in names})) or "unknown"


def _processor() -> str:
    cpuinfo = Path("/proc/cpuinfo")
    for line in cpuinfo.read_text().splitlines() if cpuinfo.exists() else []:
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()
