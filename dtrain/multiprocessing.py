"""Python's multiprocessing, and `spawn`, which starts ranks (torch.multiprocessing).

A process that a rank starts by Python's own classes is no rank: a world of one.
"""

import multiprocessing as _multiprocessing
from multiprocessing import *  # noqa: F403

from dtrain.distributed.launch.spawn import spawn as spawn

__all__ = [*_multiprocessing.__all__, "spawn"]
