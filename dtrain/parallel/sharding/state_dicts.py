"""On which ranks `state_dict()` of a sharded model gives the state, under PyTorch's names."""

from __future__ import annotations

import contextlib
import enum
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from dtrain.nn import Module


class StateDictType(enum.Enum):
    """What a state_dict holds (torch.distributed.fsdp.StateDictType): whole tensors, in dtrain."""

    FULL_STATE_DICT = 1
    LOCAL_STATE_DICT = 2
    SHARDED_STATE_DICT = 3


@dataclass(frozen=True)
class FullStateDictConfig:
    """Which ranks get the state (torch.distributed.fsdp.FullStateDictConfig).

    Parameters
    ----------
    offload_to_cpu : whether it is moved to host memory, one tensor after the other
    rank0_only : whether the other ranks get an empty dict
    """

    offload_to_cpu: bool = False
    rank0_only: bool = False


@contextlib.contextmanager
def state_dict_type(
    module: Module,
    state_dict_type: StateDictType,
    state_dict_config: FullStateDictConfig | None = None,
    optim_state_dict_config: Any = None,
) -> Iterator[None]:
    """Context manager: what `state_dict()` gives of the `FullyShardedDataParallel` models in
    `module` (torch.distributed.fsdp.FullyShardedDataParallel.state_dict_type).

    Parameters
    ----------
    state_dict_type : FULL_STATE_DICT; parts of it are in files alone: `save_checkpoint`
    state_dict_config : which ranks get it; None: all
    optim_state_dict_config : without effect

    Raises
    ------
    NotImplementedError
        For another type of state_dict.
    """
    if state_dict_type is not StateDictType.FULL_STATE_DICT:
        raise NotImplementedError(
            f"state_dict_type: expected StateDictType.FULL_STATE_DICT, got {state_dict_type!r}: "
            "checkpoint.save_checkpoint has each rank write its part, state_dict() gives whole "
            "tensors, which the ranks of a machine share"
        )
    config = FullStateDictConfig() if state_dict_config is None else state_dict_config
    wrappers = [child for child in module.modules() if hasattr(child, "_state_dict_config")]
    before = [wrapper._state_dict_config for wrapper in wrappers]
    for wrapper in wrappers:
        wrapper.__dict__["_state_dict_config"] = config
    try:
        yield
    finally:
        for wrapper, own in zip(wrappers, before):
            wrapper.__dict__["_state_dict_config"] = own
