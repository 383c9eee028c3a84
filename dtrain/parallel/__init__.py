"""Floor 5: what joins a model with the ranks."""

from dtrain.parallel.compression.powersgd import PowerSGD
from dtrain.parallel.compression.topk import TopK
from dtrain.parallel.data_parallel import DataParallel
from dtrain.parallel.zero import ZeroRedundancyOptimizer

__all__ = ["DataParallel", "PowerSGD", "TopK", "ZeroRedundancyOptimizer"]
