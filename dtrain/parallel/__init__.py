"""Floor 5: what joins a model with the ranks."""

from dtrain.parallel.data_parallel import DataParallel
from dtrain.parallel.zero import ZeroRedundancyOptimizer

__all__ = ["DataParallel", "ZeroRedundancyOptimizer"]
