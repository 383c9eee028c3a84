"""Ranks: their communicators, collectives, launcher and diagnosis."""

from dtrain.backend import share_gpus as _share_gpus
from dtrain.distributed.collectives import (
    all_gather as all_gather,
    all_reduce as all_reduce,
    broadcast as broadcast,
)
from dtrain.distributed.comm.threads import run_ranks as run_ranks
from dtrain.distributed.elastic.transaction import recoverable as recoverable
from dtrain.distributed.launcher_variables import launched_local_rank as _launched_local_rank
from dtrain.distributed.lifecycle import (
    STOPPED as STOPPED,
    job_name as job_name,
    restart_count as restart_count,
    stop_requested as stop_requested,
)
from dtrain.distributed.world import (
    barrier as barrier,
    init as init,
    local_rank as local_rank,
    rank as rank,
    world_size as world_size,
)

_share_gpus(_launched_local_rank() or 0)
