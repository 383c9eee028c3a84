"""The versions of the software that computes: ranks with other versions give other bits."""

from __future__ import annotations

import os
import platform
from collections.abc import Set
from importlib import metadata
from pathlib import Path
from typing import Any

#: Vector instructions, as /proc/cpuinfo names them, and the OpenBLAS kernels that use them.
_VECTOR_KERNELS = {
    "avx512bw": ("SkylakeX", "Cooperlake", "SapphireRapids"),
    "avx2": ("Haswell", "Zen"),
}

_PACKAGES = ("dtrain", "numpy", "numba", "mpi4py", "safetensors", "ml_dtypes")


def software() -> dict[str, str]:
    """Versions by name: Python, the packages, NumPy's BLAS and the processor."""
    versions = {"Python": platform.python_version()}
    for package in _PACKAGES:
        try:
            versions[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            versions[package] = "not installed"
    return {**versions, "BLAS": blas(), "products": _multiplier(), "processor": _processor()}


def _multiplier() -> str:
    """What multiplies large float32 matrices on a CPU."""
    from dtrain.backend.kernels import multiplies_on_amx

    return "AMX" if multiplies_on_amx() else "the BLAS"


def _blas_pools() -> list[dict[str, Any]]:
    """What threadpoolctl knows of NumPy's BLAS."""
    import numpy  # noqa: F401  loads it
    from threadpoolctl import threadpool_info

    return [pool for pool in threadpool_info() if pool["user_api"] == "blas"]


def blas() -> str:
    """NumPy's BLAS: its name, its version and the processor whose kernels it uses."""
    names = [
        f"{pool['internal_api']} {pool['version']} {pool.get('architecture', '')}"
        for pool in _blas_pools()
    ]
    return ", ".join(sorted({name.strip() for name in names})) or "unknown"


def multipliers() -> str:
    """What multiplies matrices on a CPU: the BLAS, and AMX where it multiplies large ones."""
    return f"{blas()} and AMX" if _multiplier() == "AMX" else blas()


def find_blas_limit() -> str | None:
    """How the environment keeps OpenBLAS from this processor's vector instructions; None if it
    does not."""
    coretype = os.environ.get("OPENBLAS_CORETYPE")
    used = {pool.get("architecture") for pool in _blas_pools()}
    return describe_blas_limit(coretype, used, set(_cpuinfo("flags").split()))


def describe_blas_limit(coretype: str | None, used: Set[Any], flags: Set[str]) -> str | None:
    """`find_blas_limit` for the kernels in use and a processor's flags."""
    for flag, kernels in _VECTOR_KERNELS.items():
        if not coretype or used & set(kernels):
            return None
        if flag in flags:
            return (
                f"OPENBLAS_CORETYPE={coretype} keeps products of matrices from this processor's "
                f"{flag} instructions"
            )
    return None


def _cpuinfo(name: str) -> str:
    """The first processor's entry `name` in /proc/cpuinfo; empty if there is none."""
    cpuinfo = Path("/proc/cpuinfo")
    for line in cpuinfo.read_text().splitlines() if cpuinfo.exists() else []:
        if line.startswith(name):
            return line.partition(":")[2].strip()
    return ""


def _processor() -> str:
    return _cpuinfo("model name") or platform.processor() or platform.machine()
