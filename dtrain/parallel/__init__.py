"""Floor 5: what joins a model with the ranks."""

from dtrain.parallel.compression.powersgd import PowerSGD as PowerSGD
from dtrain.parallel.compression.topk import TopK as TopK
from dtrain.parallel.data_parallel import DataParallel as DataParallel
from dtrain.parallel.zero import ZeroRedundancyOptimizer as ZeroRedundancyOptimizer
