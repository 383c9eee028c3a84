"""Floor 4: the world of ranks, its communicators, and the reduction in a fixed order."""

from dtrain.distributed.collectives import all_gather, all_reduce, broadcast
from dtrain.distributed.threads import run_ranks
from dtrain.distributed.world import barrier, init, rank, world_size

__all__ = [
    "all_gather",
    "all_reduce",
    "barrier",
    "broadcast",
    "init",
    "rank",
    "run_ranks",
    "world_size",
]
