"""Sharded training: parameters, gradients and optimizer state once for all ranks."""

from dtrain.parallel.sharding.fully_shard import fully_shard as fully_shard
from dtrain.parallel.sharding.fully_sharded_data_parallel import (
    BackwardPrefetch as BackwardPrefetch,
    FullyShardedDataParallel as FullyShardedDataParallel,
    ShardingStrategy as ShardingStrategy,
)
from dtrain.parallel.sharding.policies import (
    CPUOffload as CPUOffload,
    CPUOffloadPolicy as CPUOffloadPolicy,
    MixedPrecision as MixedPrecision,
    MixedPrecisionPolicy as MixedPrecisionPolicy,
    OffloadPolicy as OffloadPolicy,
)
from dtrain.parallel.sharding.state_dicts import (
    FullStateDictConfig as FullStateDictConfig,
    StateDictType as StateDictType,
)
from dtrain.parallel.sharding.summon import summon_full_params as summon_full_params
