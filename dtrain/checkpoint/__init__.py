"""State files and checkpoint folders."""

from dtrain.checkpoint.digest import digest as digest
from dtrain.checkpoint.folder import (
    checkpoints as checkpoints,
    load_checkpoint as load_checkpoint,
    newest_checkpoint as newest_checkpoint,
    resume as resume,
    save_checkpoint as save_checkpoint,
    whole_checkpoint as whole_checkpoint,
)
from dtrain.checkpoint.state_file import load as load, save as save
