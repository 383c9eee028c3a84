"""Which instruction of a GPU's tensor cores multiplies arrays of a dtype; see tile.cu."""

from __future__ import annotations

import functools

from dtrain.backend.settings import get_float32_matmul_precision

#: The dtype of arrays -> the instruction, of sm_80 and later, with sums in float32.
_INSTRUCTIONS = {
    "e": "m16n8k16.row.col.f32.f16.f16.f32",
    "E": "m16n8k16.row.col.f32.bf16.bf16.f32",
    "f": "m16n8k8.row.col.f32.tf32.tf32.f32",
}


def instruction(kind: str, allows_tensor_float: bool) -> str:
    """The instruction for a dtype, by its character; "" if there is none.

    allows_tensor_float : whether factors of float32 may be rounded to TensorFloat32
    """
    return "" if kind == "f" and not allows_tensor_float else _INSTRUCTIONS.get(kind, "")


def allows_tensor_float() -> bool:
    """Whether `set_float32_matmul_precision` lets products round their factors."""
    return get_float32_matmul_precision() != "highest"


@functools.cache
def limits() -> tuple[bool, int]:
    """Whether the GPU has these instructions; the bytes of shared memory of a block."""
    import cupy

    device = cupy.cuda.Device()
    memory = device.attributes["MaxSharedMemoryPerBlockOptin"]
    return int(device.compute_capability[:-1]) >= 8, memory
