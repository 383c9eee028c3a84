"""PyTorch's communication hooks by name: how DistributedDataParallel compresses gradients.

A hook is not called: `DistributedDataParallel.register_comm_hook` takes the compression that it
names (torch.distributed.algorithms.ddp_comm_hooks).
"""

from __future__ import annotations

from typing import Any, NoReturn

from dtrain.distributed.process_group import group
from dtrain.parallel.compression.powersgd import PowerSGD


class PowerSGDState(PowerSGD):
    """The options of `powerSGD_hook` (torch's): those of `dtrain.parallel.PowerSGD`."""

    def __init__(
        self,
        process_group: Any = None,
        matrix_approximation_rank: int = 1,
        start_powerSGD_iter: int = 1000,
        min_compression_rate: float = 2,
        use_error_feedback: bool = True,
        warm_start: bool = True,
        **others: Any,
    ):
        if process_group not in (None, group.WORLD):
            raise ValueError("PowerSGDState: expected process_group None, which is all ranks")
        if not (use_error_feedback and warm_start):
            raise ValueError(
                "PowerSGDState: error feedback and the warm start are always on: omit "
                "use_error_feedback and warm_start"
            )
        if others:
            raise ValueError(f"PowerSGDState: {', '.join(others)} cannot be chosen here: omit it")
        super().__init__(matrix_approximation_rank, start_powerSGD_iter, min_compression_rate)


def _refuse_call(name: str) -> NoReturn:
    raise RuntimeError(
        f"{name}: a hook is not called here: give it to register_comm_hook of a "
        "DistributedDataParallel, before training"
    )


def allreduce_hook(process_group: Any, bucket: Any) -> NoReturn:
    """The mean of the gradients themselves, which needs no hook (torch's)."""
    _refuse_call("allreduce_hook")


def fp16_compress_hook(process_group: Any, bucket: Any) -> NoReturn:
    """float16 in place of the gradients, with error feedback (torch's has none)."""
    _refuse_call("fp16_compress_hook")


def bf16_compress_hook(process_group: Any, bucket: Any) -> NoReturn:
    """bfloat16 in place of the gradients, with error feedback (torch's has none)."""
    _refuse_call("bf16_compress_hook")


def powerSGD_hook(state: PowerSGDState, bucket: Any) -> NoReturn:
    """Low-rank gradients, with error feedback (torch's)."""
    _refuse_call("powerSGD_hook")


def find_compression(state: Any, hook: Any) -> str | PowerSGD | None:
    """The compression that a hook names.

    Raises
    ------
    ValueError
        If there is none: a hook of the user's, for instance.
    """
    names = {allreduce_hook: None, fp16_compress_hook: "float16", bf16_compress_hook: "bfloat16"}
    if hook in names:
        return names[hook]
    if hook is powerSGD_hook and isinstance(state, PowerSGD):
        return state
    raise ValueError(
        "register_comm_hook: expected allreduce_hook, fp16_compress_hook, bf16_compress_hook, or "
        f"powerSGD_hook with a PowerSGDState, got {getattr(hook, '__name__', hook)!r}: gradients "
        "are exchanged by dtrain itself; change them after backward(), or by Tensor.register_hook"
    )
