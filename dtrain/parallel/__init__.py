"""Data-parallel training: gradient reduction, compression, sharded optimizer state."""

from dtrain.parallel.compression.powersgd import PowerSGD as PowerSGD
from dtrain.parallel.compression.topk import TopK as TopK
from dtrain.parallel.data_parallel import DataParallel as DataParallel
from dtrain.parallel.distributed_data_parallel import (
    DistributedDataParallel as DistributedDataParallel,
)
from dtrain.parallel.sharding import (
    BackwardPrefetch as BackwardPrefetch,
    CPUOffload as CPUOffload,
    CPUOffloadPolicy as CPUOffloadPolicy,
    FullStateDictConfig as FullStateDictConfig,
    FullyShardedDataParallel as FullyShardedDataParallel,
    MixedPrecision as MixedPrecision,
    MixedPrecisionPolicy as MixedPrecisionPolicy,
    OffloadPolicy as OffloadPolicy,
    ShardingStrategy as ShardingStrategy,
    StateDictType as StateDictType,
    fully_shard as fully_shard,
    summon_full_params as summon_full_params,
)
from dtrain.parallel.zero import ZeroRedundancyOptimizer as ZeroRedundancyOptimizer
