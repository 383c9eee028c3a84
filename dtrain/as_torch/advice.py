"""What to do instead, for the names of PyTorch's that dtrain does not have."""

from __future__ import annotations

from types import ModuleType
from typing import Any

from dtrain.as_torch.paths import OWN, find_module

_RANKS = (
    "collectives, messages, groups, DistributedDataParallel and ZeroRedundancyOptimizer are there; "
    "dtrain run starts the ranks"
)
_NO_SPARSE = (
    "sparse tensors have the COO layout alone: torch.sparse_coo_tensor, coalesce, to_dense, mm"
)
_ONE_PROCESS = "use Python's multiprocessing on NumPy arrays; dtrain run -n N starts ranks"
_SYMMETRIC = "linalg.eigh and eigvalsh are there, for symmetric matrices; numpy.linalg for others"
_WEIGHTS = "download the file yourself and read it by torch.load or load_state_dict"

#: A name, or the namespace above it: what to do instead.
ADVICE: dict[str, str] = {
    "torch._C": "it is PyTorch's C++ core: use the public name",
    "torch._dynamo": "torch.compile and torch.compiler.reset are there; there are no settings",
    "torch.ao": "there is no quantization: train and save in float32",
    "torch.cuda.nccl": "dtrain run exchanges gradients by NCCL where CuPy has it",
    "torch.cuda.nvtx": "dtrain run --trace FILE writes a timeline of all ranks",
    "torch.distributed": _RANKS,
    "torch.export": "torch.jit.save writes a graph that needs no class, torch.onnx.export ONNX",
    "torch.fx": "no graph that could be changed: jit.trace(f, x).graph shows the operations",
    "torch.hub": _WEIGHTS,
    "torch.is_storage": "look at tensor.numpy(), which shares the tensor's memory",
    "torch.library": "write an operation with gradients as a torch.autograd.Function",
    "torch.linalg.eig": _SYMMETRIC,
    "torch.linalg.eigvals": _SYMMETRIC,
    "torch.multiprocessing": _ONE_PROCESS,
    "torch.nested": "pad the sequences (nn.utils.rnn.pad_sequence), or pack them",
    "torch.nn.modules.utils.consume_prefix_in_state_dict_if_present": (
        "rename the keys: {k.removeprefix('module.'): v for k, v in state.items()}"
    ),
    "torch.nn.parallel": _RANKS,
    "torch.nn.qat": "there is no quantization: train and save in float32",
    "torch.nn.quantized": "there is no quantization: train and save in float32",
    "torch.nn.utils.prune": "multiply the weight by a mask, by nn.utils.parametrize",
    "torch.quantization": "there is no quantization: train and save in float32",
    "torch.quantize_per_tensor": "there is no quantization: train and save in float32",
    "torch.sparse": _NO_SPARSE,
    "torch.sparse_csr_tensor": _NO_SPARSE,
    "torch.Tensor.to_sparse_csr": _NO_SPARSE,
    "torch.Tensor.share_memory_": (
        "no tensor is shared between processes: dtrain run -n N starts ranks, and DataParallel "
        "sums their gradients"
    ),
    "torch.Tensor.storage": "look at tensor.numpy(), which shares the tensor's memory",
    "torch.Tensor.untyped_storage": "look at tensor.numpy(), which shares the tensor's memory",
    "torch.testing.assert_allclose": "call assert_close, whose tolerances are smaller",
    "torch.utils._pytree": "write the loop over the lists and dicts out",
    "torch.utils.benchmark": "use Python's timeit",
    "torch.utils.bottleneck": "use Python's cProfile",
    "torch.utils.cpp_extension": "write an operation with gradients as a torch.autograd.Function",
    "torch.utils.mobile_optimizer": "torch.onnx.export writes a file for ONNX Runtime and others",
    "torch.utils.model_zoo": _WEIGHTS,
    "torch.vmap": "write the batch dimension out: operations broadcast",
    "torch.func.vmap": "write the batch dimension out: operations broadcast",
    "torchvision.datasets": "read the files in the __getitem__ of a Dataset; ImageFolder is there",
    "torchvision.datasets.utils": "nothing is downloaded: put the files where the dataset looks",
    "torchvision.models": (
        'AlexNet, VGG, ResNet and MobileNetV2 are there, and take weights="DEFAULT", a file or a '
        "state dict; write other models as a Module"
    ),
    "torchvision.ops": "write it with torch's operations",
    "torchvision.transforms": "write it as a function and give that to Compose",
    "torchvision.transforms.v2": "use the names of torchvision.transforms",
    "torchvision.utils": "draw on tensor.numpy() by matplotlib or pillow; make_grid is there",
}

#: Where a name is looked for that its own namespace does not have.
_NEIGHBOURS = ("", "nn.functional", "nn", "fft", "linalg", "special", "nn.utils", "optim")


def explain_missing(path: str) -> str:
    """Say that dtrain lacks a name, and what to do instead.

    >>> explain_missing("torch.linalg.relu")
    'dtrain has no torch.linalg.relu: torch.relu is there'
    """
    return f"dtrain has no {path}: {_advise(path)}"


def _advise(path: str) -> str:
    above = path
    while "." in above:
        if above in ADVICE:
            return ADVICE[above]
        above = above.rpartition(".")[0]
    import difflib  # only a program that fails needs it

    namespace, _, name = path.rpartition(".")
    for neighbour in _NEIGHBOURS:
        value = _public(find_module(neighbour)).get(name)
        if value is not None and not isinstance(value, ModuleType):
            return f"{'.'.join(filter(None, ('torch', neighbour, name)))} is there"
    known = _public(find_module(namespace.partition(".")[2]))
    if similar := difflib.get_close_matches(name, known, n=1, cutoff=0.8):
        return f"did you mean {namespace}.{similar[0]}?"
    return "write it with the operations that are there, or as a torch.autograd.Function"


def _public(module: ModuleType | None) -> dict[str, Any]:
    names = {} if module is None else vars(module)
    return {k: v for k, v in names.items() if not k.startswith("_") and k not in OWN}
