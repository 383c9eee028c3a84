"""Floor 5: what joins a model with the ranks."""

from dtrain.parallel.data_parallel import DataParallel

__all__ = ["DataParallel"]
