"""Runs a script or module whose `import torch` is served by dtrain, as Python itself would."""

from __future__ import annotations

import builtins
import importlib.util
import os
import sys
from collections.abc import Callable, Sequence
from importlib.abc import InspectLoader
from importlib.machinery import ModuleSpec, SourceFileLoader
from types import CodeType, ModuleType, TracebackType
from typing import Any

from dtrain.as_torch.finder import serve_torch
from dtrain.errors import LaunchError


def run_program(script: str, args: Sequence[str] = (), module: bool = False) -> ModuleType:
    """Run a program written for PyTorch: its `import torch` gives dtrain.

    `sys.argv`, `sys.path[0]`, `__file__`, `__main__` and tracebacks are those of ``python script
    args`` or ``python -m script args``.

    Parameters
    ----------
    script : a Python file, or with ``module=True`` the name of a module
    args : the program's arguments
    module : whether `script` is the name of a module

    Returns
    -------
    ModuleType
        The program's `__main__` after its end.

    Raises
    ------
    LaunchError
        If there is no such program, or PyTorch itself is imported already; before anything runs.

    Examples
    --------
    >>> import pathlib, tempfile
    >>> script = pathlib.Path(tempfile.mkdtemp()) / "add.py"
    >>> _ = script.write_text("import torch; total = torch.ones(3).sum()")
    >>> from dtrain.as_torch import run_program
    >>> run_program(str(script)).total  # doctest: +SKIP
    tensor(3.)
    """
    _check_script(script, module)
    folder = os.getcwd() if module else os.path.dirname(os.path.realpath(script))
    serve_torch()
    if not getattr(sys.flags, "safe_path", False):
        sys.path[0] = folder
    sys.argv[:] = [script, *args]
    code, main = _load_module(script) if module else _load_script(script)
    sys.argv[0] = code.co_filename if module else script
    sys.modules["__main__"] = main
    sys.excepthook = _hide_frames_above(code, sys.excepthook)
    exec(code, vars(main))
    return main


def find_runner(script: str, args: Sequence[str], module: bool) -> tuple[str, list[str]]:
    """The module that runs a program as `run_program` does, and that module's arguments.

    Raises
    ------
    LaunchError
        If there is no such script.

    Examples
    --------
    >>> find_runner("train", ["--epochs", "3"], module=True)
    ('dtrain.as_torch', ['-m', 'train', '--epochs', '3'])
    """
    _check_script(script, module)
    return "dtrain.as_torch", [*(["-m"] if module else []), script, *args]


def _check_script(script: str, module: bool) -> None:
    if not module and not os.path.isfile(script):
        raise LaunchError(f"{script}: no such file; give a Python file, or -m module")


def _load_script(script: str) -> tuple[CodeType, ModuleType]:
    path = os.path.abspath(script)
    with open(path, "rb") as file:
        code = compile(file.read(), path, "exec")
    return code, _make_main(path, SourceFileLoader("__main__", path), None)


def _load_module(name: str) -> tuple[CodeType, ModuleType]:
    try:
        spec = importlib.util.find_spec(name)
        if spec is not None and spec.submodule_search_locations is not None:
            spec = importlib.util.find_spec(f"{name}.__main__")
    except (ImportError, ValueError) as reason:  # of a package above it; a relative name
        raise LaunchError(f"-m {name}: no such module: {reason}") from None
    if spec is None or not isinstance(spec.loader, InspectLoader):
        raise LaunchError(f"-m {name}: no such module, or a package without __main__.py")
    code = spec.loader.get_code(spec.name)
    if code is None:
        raise LaunchError(f"-m {name}: the module has no Python code")
    return code, _make_main(code.co_filename, spec.loader, spec)


def _make_main(file: str, loader: Any, spec: ModuleSpec | None) -> ModuleType:
    """The module `__main__` with the variables that Python gives it."""
    main = ModuleType("__main__")
    vars(main).update(
        __file__=file,
        __builtins__=builtins,
        __loader__=loader,
        __spec__=spec,
        __package__=spec.parent if spec else None,
        __cached__=spec.cached if spec else None,
    )
    return main


_ExceptHook = Callable[[type[BaseException], BaseException, TracebackType | None], Any]


def _hide_frames_above(code: CodeType, show: _ExceptHook) -> _ExceptHook:
    """A `sys.excepthook` whose traceback begins with the program's own frame."""

    def hook(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
        own = trace
        while own is not None and own.tb_frame.f_code is not code:
            own = own.tb_next
        show(kind, error.with_traceback(own or trace), own or trace)

    return hook
