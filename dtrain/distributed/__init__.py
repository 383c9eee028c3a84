"""Floor 4: the world of ranks, its communicators, and the reduction in a fixed order."""

from dtrain.backend import share_gpus
from dtrain.distributed.collectives import all_gather, all_reduce, broadcast
from dtrain.distributed.comm.threads import run_ranks
from dtrain.distributed.elastic.transaction import recoverable
from dtrain.distributed.lifecycle import STOPPED, job_name, restart_count, stop_requested
from dtrain.distributed.world import (
    barrier,
    init,
    launched_local_rank,
    local_rank,
    rank,
    world_size,
)

__all__ = [
    "STOPPED",
    "all_gather",
    "all_reduce",
    "barrier",
    "broadcast",
    "init",
    "job_name",
    "local_rank",
    "rank",
    "recoverable",
    "restart_count",
    "run_ranks",
    "stop_requested",
    "world_size",
]

share_gpus(launched_local_rank() or 0)
