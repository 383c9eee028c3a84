"""Floor 5: state files and checkpoint folders."""

from dtrain.checkpoint.digest import digest
from dtrain.checkpoint.folder import (
    checkpoints,
    load_checkpoint,
    newest_checkpoint,
    resume,
    save_checkpoint,
    whole_checkpoint,
)
from dtrain.checkpoint.state_file import load, save

__all__ = [
    "checkpoints",
    "digest",
    "load",
    "load_checkpoint",
    "newest_checkpoint",
    "resume",
    "save",
    "save_checkpoint",
    "whole_checkpoint",
]
