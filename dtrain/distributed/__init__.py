"""Ranks: their communicators, collectives, launcher and diagnosis (torch.distributed)."""

from dtrain.backend import share_gpus as _share_gpus
from dtrain.distributed.collectives import (
    all_gather as all_gather,
    all_gather_into_tensor as all_gather_into_tensor,
    all_reduce as all_reduce,
    broadcast as broadcast,
    gather as gather,
    reduce as reduce,
    reduce_scatter as reduce_scatter,
    reduce_scatter_tensor as reduce_scatter_tensor,
    scatter as scatter,
)
from dtrain.distributed.comm.threads import run_ranks as run_ranks
from dtrain.distributed.elastic.transaction import recoverable as recoverable
from dtrain.distributed.exchange import (
    all_to_all as all_to_all,
    all_to_all_single as all_to_all_single,
    barrier as barrier,
    monitored_barrier as monitored_barrier,
)
from dtrain.distributed.launcher_variables import (
    launched_local_rank as _launched_local_rank,
    set_torchrun_variables as _set_torchrun_variables,
)
from dtrain.distributed.lifecycle import (
    STOPPED as STOPPED,
    job_name as job_name,
    restart_count as restart_count,
    stop_requested as stop_requested,
)
from dtrain.distributed.object_collectives import (
    all_gather_object as all_gather_object,
    broadcast_object_list as broadcast_object_list,
    gather_object as gather_object,
    scatter_object_list as scatter_object_list,
)
from dtrain.distributed.point_to_point import (
    P2POp as P2POp,
    batch_isend_irecv as batch_isend_irecv,
    irecv as irecv,
    isend as isend,
    recv as recv,
    recv_object_list as recv_object_list,
    send as send,
    send_object_list as send_object_list,
)
from dtrain.distributed.process_group import (
    GroupMember as GroupMember,
    ProcessGroup as ProcessGroup,
    destroy_process_group as destroy_process_group,
    get_backend as get_backend,
    get_default_backend_for_device as get_default_backend_for_device,
    get_global_rank as get_global_rank,
    get_group_rank as get_group_rank,
    get_node_local_rank as get_node_local_rank,
    get_process_group_ranks as get_process_group_ranks,
    get_rank as get_rank,
    get_world_size as get_world_size,
    group as group,
    init_process_group as init_process_group,
    is_available as is_available,
    is_backend_available as is_backend_available,
    is_gloo_available as is_gloo_available,
    is_initialized as is_initialized,
    is_mpi_available as is_mpi_available,
    is_nccl_available as is_nccl_available,
    is_torchelastic_launched as is_torchelastic_launched,
    new_group as new_group,
)
from dtrain.distributed.reduce_op import ReduceOp as ReduceOp
from dtrain.distributed.work import Work as Work
from dtrain.distributed.world import (
    init as init,
    local_rank as local_rank,
    rank as rank,
    world_size as world_size,
)

_share_gpus(_launched_local_rank() or 0)
_set_torchrun_variables()
