"""PyTorch's module paths: which of dtrain's modules answers to each of them.

A path that is not in the table is dtrain's module of the same name, as `torch.nn.functional` is
`dtrain.nn.functional`.
"""

from __future__ import annotations

import importlib
import sys
from importlib.machinery import PathFinder
from types import ModuleType

#: torch path: dtrain's module; several modules are served as one. "." is the package itself.
ALIASES: dict[str, str] = {
    "autograd.functional": "derivatives",
    "cpu.amp": "amp.cpu",
    "cpu.amp.autocast_mode": "amp.cpu",
    "cpu.amp.grad_scaler": "amp.cpu",
    "cuda.amp": "amp.cuda",
    "cuda.amp.autocast_mode": "amp.cuda",
    "cuda.amp.grad_scaler": "amp.cuda",
    "distributed.algorithms": "parallel.comm_hooks",
    "distributed.algorithms.ddp_comm_hooks": "parallel.comm_hooks",
    "distributed.algorithms.ddp_comm_hooks.default_hooks": "parallel.comm_hooks",
    "distributed.algorithms.ddp_comm_hooks.powerSGD_hook": "parallel.comm_hooks",
    "distributed.distributed_c10d": "distributed distributed.process_group",
    "distributed.fsdp": "parallel.sharding",
    "distributed.fsdp.api": "parallel.sharding",
    "distributed.fsdp.fully_sharded_data_parallel": "parallel.sharding",
    "distributed.fsdp.wrap": "parallel.sharding.wrap",
    "distributed.optim": "parallel.zero",
    "functional": ".",
    "nn.modules": "nn nn.module",
    "nn.modules.activation": "nn.activations nn.attention",
    "nn.modules.adaptive": "nn.adaptive_softmax",
    "nn.modules.batchnorm": "nn.batch_norm nn.sync_batch_norm",
    "nn.modules.channelshuffle": "nn.layers",
    "nn.modules.container": "nn.containers nn.parameter_containers",
    "nn.modules.conv": "nn.convolution",
    "nn.modules.distance": "nn.distances",
    "nn.modules.dropout": "nn.dropout",
    "nn.modules.flatten": "nn.layers",
    "nn.modules.fold": "nn.folding",
    "nn.modules.instancenorm": "nn.batch_norm",
    "nn.modules.lazy": "nn.lazy",
    "nn.modules.linear": "nn.layers nn.lazy",
    "nn.modules.loss": "nn.losses",
    "nn.modules.module": "nn.module",
    "nn.modules.normalization": "nn.normalization",
    "nn.modules.padding": "nn.padding",
    "nn.modules.pixelshuffle": "nn.layers",
    "nn.modules.pooling": "nn.pooling nn.adaptive_pooling",
    "nn.modules.rnn": "nn.recurrent nn.recurrent_cells",
    "nn.modules.sparse": "nn.embedding",
    "nn.modules.transformer": "nn.transformer",
    "nn.modules.upsampling": "nn.upsampling",
    "nn.modules.utils": "nn.tuples",
    "nn.parallel": "nn.data_parallel parallel.distributed_data_parallel",
    "nn.parallel.data_parallel": "nn.data_parallel",
    "nn.parallel.distributed": "parallel.distributed_data_parallel",
    "optim.adadelta": "optim.adagrad",
    "optim.adamax": "optim.adam_variants",
    "optim.adamw": "optim.adam",
    "optim.nadam": "optim.adam_variants",
    "optim.radam": "optim.adam_variants",
    "random": "backend.random",
    "serialization": "checkpoint.state_file",
    "utils.data._utils": "data data.collate",
    "utils.data._utils.collate": "data.collate",
    "utils.data.dataloader": "data.loader data.collate",
    "utils.data.dataset": "data.dataset",
    "utils.data.distributed": "data.distributed_sampler",
    "utils.data.sampler": "data.samplers",
}

#: PyTorch's namespaces of which a missing name is explained.
NAMESPACES = (
    "", "accelerator", "amp", "autograd", "autograd.functional", "backends", "backends.cpu",
    "backends.cuda", "backends.cudnn", "backends.mkl", "backends.mkldnn", "backends.mps",
    "backends.openmp", "backends.opt_einsum", "compiler", "cpu", "cpu.amp", "cuda", "cuda.amp",
    "cuda.memory", "cuda.nvtx", "cuda.random", "cuda.streams", "distributed",
    "distributed.algorithms", "distributed.algorithms.ddp_comm_hooks", "distributions", "fft",
    "func", "jit", "linalg", "multiprocessing", "nn", "nn.attention", "nn.functional",
    "nn.init", "nn.modules", "nn.parallel", "nn.utils", "nn.utils.parametrizations",
    "nn.utils.parametrize", "nn.utils.rnn", "nn.utils.stateless", "optim", "optim.lr_scheduler",
    "optim.swa_utils", "profiler", "random", "sparse", "special", "testing", "utils",
    "utils.checkpoint", "utils.data", "utils.data._utils", "utils.tensorboard",
)  # fmt: skip

#: dtrain's own modules, which are no part of PyTorch.
OWN = {
    "as_torch", "backend", "check", "cli", "derivatives", "env", "errors", "functions",
    "primitives", "vision",
}  # fmt: skip

#: torchvision's modules that dtrain.vision has.
TORCHVISION = ("datasets", "models", "transforms", "transforms.functional", "utils")

_LAYERS, _HOOKS = "nn.modules.", "distributed.algorithms"
_joined: dict[str, ModuleType] = {}  # the modules that are served as one


def find_module(path: str) -> ModuleType | None:
    """dtrain's module for a path below `torch`; None if there is none.

    >>> find_module("nn.modules.conv").Conv2d
    <class 'dtrain.nn.convolution.Conv2d'>
    """
    sources = ALIASES.get(path, path or ".").split()
    if len(sources) > 1 or (
        path in ALIASES and path.startswith((_LAYERS, _HOOKS))
    ):  # linear and flatten share one of dtrain's
        if path not in _joined:
            _joined[path] = _join(path, [_import(source) for source in sources])
        return _joined[path]
    if path.partition(".")[0] in OWN:
        return None
    return _import(sources[0]) if has_module(sources[0]) else None


def has_module(source: str) -> bool:
    """Whether dtrain has a module of this name; imports the packages above it alone."""
    name = _absolute(source)
    if name in sys.modules:
        return True
    parent = source.rpartition(".")[0] or "."
    paths = getattr(_import(parent), "__path__", []) if has_module(parent) else []
    return PathFinder.find_spec(name, paths) is not None


def _import(source: str) -> ModuleType:
    return importlib.import_module(_absolute(source))


def _absolute(source: str) -> str:
    return "dtrain" if source == "." else f"dtrain.{source}"


def _join(path: str, modules: list[ModuleType]) -> ModuleType:
    """A module with the names of all `modules`."""
    joined = ModuleType(f"dtrain.{path}", modules[0].__doc__)
    for module in reversed(modules):
        names = (name for name in vars(module) if not name.startswith("__"))
        # nn.modules.utils is another module than nn.utils
        own = {name: getattr(module, name) for name in names if f"{path}.{name}" not in ALIASES}
        vars(joined).update(own)
    return joined
