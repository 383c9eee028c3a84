"""Packages that dtrain itself does not need: imported where they are first used."""

from __future__ import annotations

import importlib
from typing import Any

from dtrain.errors import MissingModuleError


def import_optional(module: str, package: str, extra: str, user: str) -> Any:
    """Import a module of an optional package.

    Parameters
    ----------
    module : its full name, such as "PIL.Image"
    package, extra : what pip installs: the package alone, and as dtrain[extra]
    user : the beginning of the error's message, such as "pictures need"

    Raises
    ------
    MissingModuleError
        If the package is not installed; says how to install it.
    """
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as missing:
        raise MissingModuleError(
            f"{user} the package {package}: pip install 'dtrain[{extra}]', or pip install {package}"
        ) from missing
