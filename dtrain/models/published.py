"""torchvision's published weights, by its arguments: among the files that PyTorch downloads."""

from __future__ import annotations

import functools
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar, cast

Build = TypeVar("Build", bound=Callable[..., Any])

_ADDRESS = "https://download.pytorch.org/models"


def published(*hashes: str, stem: str = "") -> Callable[[Build], Build]:
    """Decorator: a model's function takes ``pretrained=True`` and names of weights, too.

    These are "DEFAULT", "IMAGENET1K_V1" and, where there are two, "IMAGENET1K_V2".

    Parameters
    ----------
    hashes : those in the file names of the first and second version of the weights
    stem : what the file names begin with; the function's name if empty
    """

    def decorate(build: Build) -> Build:
        name = build.__name__
        files = {
            f"IMAGENET1K_V{number}": f"{stem or name}-{digest}.pth"
            for number, digest in enumerate(hashes, 1)
        }

        @functools.wraps(build)
        def run(weights: Any = None, *args: Any, **options: Any) -> Any:
            pretrained = options.pop("pretrained", None)
            options.pop("progress", None)  # of the download
            if pretrained is not None and weights is not None:
                raise ValueError(
                    f"{name}: expected pretrained or weights, got both: omit pretrained"
                )
            if pretrained or weights is True:  # torchvision's first argument was `pretrained`
                weights = "IMAGENET1K_V1"
            elif weights is False:
                weights = None
            if isinstance(weights, str) and (
                weights == "DEFAULT" or weights.startswith("IMAGENET")
            ):
                weights = _find_file(name, files, weights)
            return build(weights, *args, **options)

        return cast(Build, run)

    return decorate


def _find_file(name: str, files: dict[str, str], version: str) -> Path:
    file = files.get([*files][-1] if version == "DEFAULT" else version)
    if file is None:
        raise ValueError(
            f"{name}: expected weights 'DEFAULT', {', '.join(map(repr, files))}, a file or a state "
            f"dict, got {version!r}"
        )
    path = _download_folder() / file
    if not path.exists():
        raise FileNotFoundError(
            f"{name}: nothing is downloaded: put {_ADDRESS}/{file} into {path.parent}, or load a "
            "file that you have: give its path, or a state dict, as weights=..."
        )
    return path


def _download_folder() -> Path:
    """The folder of the weights that PyTorch downloads."""
    cache = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
    home = os.environ.get("TORCH_HOME") or os.path.join(cache, "torch")
    return Path(home).expanduser() / "hub" / "checkpoints"
