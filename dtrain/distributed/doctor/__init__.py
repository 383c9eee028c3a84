"""`dtrain doctor`: inspects a machine or a cluster, and finds problems of training on it."""

from dtrain.distributed.doctor.inspection import (
    MachineReport as MachineReport,
    RanksReport as RanksReport,
    inspect_machine as inspect_machine,
    inspect_ranks as inspect_ranks,
)
from dtrain.distributed.doctor.problems import (
    Problem as Problem,
    find_machine_problems as find_machine_problems,
    find_rank_problems as find_rank_problems,
)
