"""The API reference of the site: which public name stands on which page, in which section.

A section takes names of one module: those that are defined in the modules listed for it, relative
to `dtrain`, or `=name` by name; without a list, all that are left. tests/test_site.py fails for a
public name that no section takes, and for an entry that takes nothing.
"""

from __future__ import annotations

from typing import NamedTuple


class Section(NamedTuple):
    """Names of one module under one heading."""

    title: str
    module: str
    takes: str = ""


class Page(NamedTuple):
    """A page of the reference, and one sentence about it."""

    name: str
    title: str
    summary: str
    sections: list[Section]


#: Modules whose names no page shows: the engine's own, or names that stand elsewhere.
NOT_SHOWN = {"dtrain.backend", "dtrain.functions.creation", "dtrain.parallel.sharding"}

_TENSOR_TYPES = "functions.tensor_types =BFloat16Tensor =BoolTensor =ByteTensor =CharTensor \
=DoubleTensor =FloatTensor =HalfTensor =IntTensor =LongTensor =ShortTensor"
_DTYPES = "backend.dtypes functions.types =dtype =bfloat16 =bool =cdouble =complex128 =cfloat \
=complex64 =float16 =half =float =float32 =double =float64 =int16 =short =int =int32 =int64 =long \
=int8 =uint8"

PAGES = [
    Page("ranks", "Training on ranks", "What runs a model on many processes.", [
        Section("DataParallel and sharded optimizers", "dtrain", "parallel"),
        Section("Parallel", "dtrain.parallel"),
        Section("Ranks and the run", "dtrain.distributed",
                "distributed.world distributed.lifecycle distributed.elastic distributed.comm "
                "=STOPPED"),
        Section("Collective calls", "dtrain.distributed",
                "distributed.collectives distributed.object_collectives distributed.exchange "
                "distributed.reduce_op distributed.work"),
        Section("Messages between two ranks", "dtrain.distributed", "distributed.point_to_point"),
        Section("Process groups", "dtrain.distributed", "distributed.process_group"),
    ]),
    Page("checkpoints", "Checkpoints", "Saving and resuming a job, and files of weights.", [
        Section("Files", "dtrain", "checkpoint"),
        Section("Checkpoints of a job", "dtrain.checkpoint"),
    ]),
    Page("data", "Data", "Datasets, samplers and the loader that shards them.", [
        Section("Data", "dtrain.data"),
    ]),
    Page("train", "The training kit", "Metrics, progress, logs, checkpoints, a trainer.", [
        Section("Training kit", "dtrain.train"),
    ]),
    Page("vision", "Pictures", "torchvision's names: datasets, transforms, grids.", [
        Section("Datasets", "dtrain.vision.datasets"),
        Section("Transforms", "dtrain.vision.transforms"),
        Section("Transforms as functions", "dtrain.vision.transforms.functional"),
        Section("Grids and files", "dtrain.vision.utils"),
    ]),
    Page("models", "Models", "Architectures, and their weights from files.", [
        Section("Models", "dtrain.models"),
    ]),
    Page("layers", "Layers", "torch.nn: modules of a network.", [
        Section("Modules, containers and parameters", "dtrain.nn",
                "nn.module nn.containers nn.parameter nn.parameter_containers nn.data_parallel"),
        Section("Linear, embedding and shape", "dtrain.nn",
                "nn.layers nn.embedding nn.folding nn.upsampling"),
        Section("Convolution", "dtrain.nn", "nn.convolution"),
        Section("Pooling and padding", "dtrain.nn", "nn.pooling nn.adaptive_pooling nn.padding"),
        Section("Normalization and dropout", "dtrain.nn",
                "nn.batch_norm nn.normalization nn.sync_batch_norm nn.dropout"),
        Section("Recurrent layers", "dtrain.nn", "nn.recurrent nn.recurrent_cells"),
        Section("Attention and transformers", "dtrain.nn", "nn.attention nn.transformer"),
        Section("Activations", "dtrain.nn", "nn.activations"),
        Section("Lazy layers", "dtrain.nn", "nn.lazy"),
    ]),
    Page("losses", "Losses", "Losses and distances, as modules.", [
        Section("Losses", "dtrain.nn", "nn.losses nn.adaptive_softmax"),
        Section("Distances", "dtrain.nn", "nn.distances"),
    ]),
    Page("functional", "Functions of networks", "torch.nn.functional.", [
        Section("Activations", "dtrain.nn.functional",
                "nn.functional.activations functions.activations"),
        Section("Losses", "dtrain.nn.functional", "nn.functional.losses"),
        Section("Linear, embedding, attention", "dtrain.nn.functional",
                "nn.functional.linear nn.functional.embedding nn.functional.attention "
                "functions.products functions.searching"),
        Section("Convolution and folding", "dtrain.nn.functional",
                "nn.functional.convolution nn.functional.folding"),
        Section("Pooling", "dtrain.nn.functional",
                "nn.functional.pooling nn.functional.adaptive_pooling"),
        Section("Normalization, dropout, distances", "dtrain.nn.functional",
                "nn.functional.normalization nn.functional.dropout nn.functional.distances"),
        Section("Resampling and padding", "dtrain.nn.functional",
                "nn.functional.resampling nn.functional.grid_sample nn.functional.pixel_shuffle "
                "functions.padding"),
    ]),
    Page("nn_utils", "Utilities of networks", "Initialization, clipping, packing.", [
        Section("Initialization", "dtrain.nn.init"),
        Section("Gradients, vectors, fusion", "dtrain.nn.utils"),
        Section("Sequences of different lengths", "dtrain.nn.utils.rnn"),
        Section("Parametrizations", "dtrain.nn.utils.parametrize"),
        Section("Ready parametrizations", "dtrain.nn.utils.parametrizations"),
        Section("Kernels of attention", "dtrain.nn.attention_kernels"),
        Section("Functional calls", "dtrain.func"),
    ]),
    Page("optim", "Optimizers", "Optimizers, schedules, averages of weights.", [
        Section("Optimizers", "dtrain.optim"),
        Section("Schedules", "dtrain.optim.lr_scheduler"),
        Section("Averages of weights", "dtrain.optim.swa_utils"),
    ]),
    Page("tensors", "Making tensors", "Creation, random numbers, types.", [
        Section("Creation", "dtrain",
                "functions.creation.convert functions.creation.filled functions.creation.spaced "
                "functions.creation.windows functions.casts"),
        Section("Random numbers", "dtrain",
                "functions.creation.random functions.sampling backend.random"),
        Section("Types", "dtrain", _DTYPES),
        Section("Types of tensors", "dtrain", _TENSOR_TYPES),
        Section("Layout and size", "dtrain", "backend.layout backend.size"),
        Section("Devices", "dtrain", "backend.device =OutOfMemoryError"),
        Section("Constants", "dtrain", "=e =inf =nan =pi =newaxis"),
        Section("Settings", "dtrain",
                "backend.settings backend.threads autograd.display"),
    ]),
    Page("tensor_methods", "Methods of tensors", "What `dtrain.Tensor` has of operations.", [
        Section("Methods and attributes", "dtrain.autograd.tensor_methods"),
    ]),
    Page("arithmetic", "Arithmetic", "Functions of each element, comparisons, products.", [
        Section("Arithmetic", "dtrain", "functions.arithmetic functions.inplace_forms"),
        Section("Rounding and remainders", "dtrain", "functions.rounding"),
        Section("Exponentials and logarithms", "dtrain", "functions.exponentials"),
        Section("Trigonometry", "dtrain", "functions.trigonometry"),
        Section("Comparison and bits", "dtrain", "functions.comparison functions.limits"),
        Section("Complex numbers", "dtrain", "functions.complex_numbers"),
        Section("Products", "dtrain", "functions.products functions.einsum"),
        Section("Special functions", "dtrain", "functions.special"),
    ]),
    Page("reductions", "Reductions and order", "Sums, statistics, scans, sorting.", [
        Section("Reductions", "dtrain", "functions.reductions"),
        Section("Statistics", "dtrain", "functions.statistics functions.covariance"),
        Section("Scans and integrals", "dtrain", "functions.scans functions.integrals"),
        Section("Sorting and searching", "dtrain", "functions.sorting functions.searching"),
    ]),
    Page("shapes", "Shapes and indices", "Reshaping, joining, splitting, gathering, scattering.", [
        Section("Shapes", "dtrain", "functions.shapes"),
        Section("Joining and splitting", "dtrain", "functions.joining functions.splitting"),
        Section("Indexing and gathering", "dtrain", "functions.indexing"),
        Section("Scattering", "dtrain", "functions.scattering"),
        Section("Diagonals", "dtrain", "functions.diagonals"),
    ]),
    Page("network_names", "Network functions in the main namespace", "As in `torch`.", [
        Section("Activations", "dtrain", "functions.activations nn.functional.activations"),
        Section("Layers", "dtrain",
                "nn.functional.adaptive_pooling nn.functional.convolution nn.functional.distances "
                "nn.functional.dropout nn.functional.linear nn.functional.normalization "
                "nn.functional.pixel_shuffle nn.functional.pooling"),
    ]),
    Page("linalg", "Linear algebra, transforms, sparse matrices", "Matrices and spectra.", [
        Section("In the main namespace", "dtrain", "functions.linalg functions.stft"),
        Section("linalg", "dtrain.linalg"),
        Section("fft", "dtrain.fft"),
        Section("special", "dtrain.special"),
        Section("Sparse tensors", "dtrain", "functions.sparse"),
        Section("sparse", "dtrain.sparse"),
    ]),
    Page("autograd", "Autograd", "The tensor, gradients, functions with a gradient of their own.", [
        Section("Tensors and grad mode", "dtrain",
                "autograd.tensor autograd.grad_mode autograd.anomaly"),
        Section("Gradients", "dtrain.autograd"),
        Section("Jacobians and Hessians", "dtrain.derivatives"),
    ]),
    Page("mixed_precision", "Mixed precision", "autocast and the scaling of gradients.", [
        Section("In the main namespace", "dtrain", "amp autograd.autocast_mode"),
        Section("amp", "dtrain.amp"),
    ]),
    Page("devices", "Devices", "GPUs and CPUs.", [
        Section("cuda", "dtrain.cuda"),
        Section("accelerator", "dtrain.accelerator"),
        Section("cpu", "dtrain.cpu"),
    ]),
    Page("graphs", "Graphs", "Recorded, compiled, saved and exported functions.", [
        Section("Compilation", "dtrain", "jit"),
        Section("Graphs", "dtrain.jit"),
        Section("Compiler switches", "dtrain.compiler"),
        Section("ONNX", "dtrain.onnx"),
    ]),
    Page("distributions", "Distributions", "Probability distributions and transforms.", [
        Section("Distributions", "dtrain.distributions"),
    ]),
    Page("tools", "Tools", "Profiler, tests, TensorBoard, activation checkpointing, errors.", [
        Section("Profiler", "dtrain.profiler"),
        Section("Tests of tensors", "dtrain.testing"),
        Section("Activation checkpointing", "dtrain.utils.checkpoint"),
        Section("DLPack", "dtrain.utils.dlpack"),
        Section("TensorBoard", "dtrain.utils.tensorboard"),
        Section("Errors", "dtrain.errors"),
        Section("Environment variables", "dtrain.env"),
    ]),
    Page("programs", "PyTorch's programs and the launcher", "What the commands are made of.", [
        Section("import torch", "dtrain.as_torch"),
        Section("dtrain check", "dtrain.check"),
        Section("dtrain run", "dtrain.distributed.launch"),
        Section("dtrain doctor", "dtrain.distributed.doctor"),
    ]),
]  # fmt: skip
