"""Starting ranks on this machine or on several, and watching over them until they end."""

from dtrain.distributed.launch.job import JobSpec as JobSpec
from dtrain.distributed.launch.machine import (
    Launcher as Launcher,
    Machine as Machine,
    find_launcher as find_launcher,
    this_machine as this_machine,
)
from dtrain.distributed.launch.plan import (
    LaunchPlan as LaunchPlan,
    plan as plan,
)
from dtrain.distributed.launch.supervise import run as run
