"""State files and checkpoint folders."""

from dtrain.checkpoint.digest import digest as digest
from dtrain.checkpoint.folder import (
    Stateful as Stateful,
    load_checkpoint as load_checkpoint,
    resume as resume,
    save_checkpoint as save_checkpoint,
)
from dtrain.checkpoint.manifest import (
    checkpoints as checkpoints,
    find_newest_checkpoint as find_newest_checkpoint,
    verify_checkpoint as verify_checkpoint,
)
from dtrain.checkpoint.state_file import load as load, save as save
