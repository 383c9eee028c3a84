"""State files and checkpoint folders."""

from dtrain.checkpoint.digest import digest as digest
from dtrain.checkpoint.joining import join_checkpoint as join_checkpoint
from dtrain.checkpoint.loading import load_checkpoint as load_checkpoint
from dtrain.checkpoint.manifest import (
    checkpoints as checkpoints,
    find_newest_checkpoint as find_newest_checkpoint,
    verify_checkpoint as verify_checkpoint,
)
from dtrain.checkpoint.resuming import resume as resume
from dtrain.checkpoint.saving import save_checkpoint as save_checkpoint
from dtrain.checkpoint.state_file import load as load, save as save
from dtrain.checkpoint.stateful import Stateful as Stateful
