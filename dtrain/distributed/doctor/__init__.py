"""What a machine or a cluster has for training on many ranks, and what to change about it."""

from dtrain.distributed.doctor.examine import (
    MachineReport as MachineReport,
    RanksReport as RanksReport,
    examine as examine,
    examine_ranks as examine_ranks,
)
from dtrain.distributed.doctor.verdict import (
    Problem as Problem,
    judge as judge,
    judge_ranks as judge_ranks,
)
