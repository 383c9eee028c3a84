"""gpu.py's training steps: their losses and times beside PyTorch's, and their bits."""

import time

import numpy as np
from gpu_device import ON_GPU, device_of, is_timed, judge, milliseconds, modules
from models import LARGE, MODELS

#: precision of a step -> by how much its losses may differ from PyTorch's in float32.
#: PyTorch's own, with factors of convolutions rounded to TensorFloat32, differs by 4e-2 in step 2
#: of the small ResNet-50.
LOSS_LIMITS = {"float32": 1e-3, "tf32": 5e-2, "bfloat16": 1e-1}
NAMES = ("mlp", "gpt2", "resnet50")


def set_precision(T, precision):
    """How float32 products and convolutions are computed from now on."""
    T.set_float32_matmul_precision("high" if precision == "tf32" else "highest")
    T.backends.cudnn.allow_tf32 = precision == "tf32"


def make(T, name, small):
    """What a function of models/ gives; on the CPU, from one seed."""
    T.manual_seed(0)
    return LARGE[name](T, small=small) if name in LARGE else MODELS[name](T)


def make_step(T, model, precision, form="eager"):
    """A function that makes a training step of what `make` gave, and returns the loss.

    form : "eager", "compiled", or "graph" of CUDA
    """
    device = device_of(T)
    module, x, y, make_optimizer = model
    module, x, y = module.to(device), x.to(device), y.to(device)
    optimizer = make_optimizer(module.parameters())
    run = T.compile(module) if form == "compiled" else module
    if form == "graph":
        run = T.DataParallel(module, cuda_graph=True)
    set_precision(T, precision)

    def step():
        with T.autocast(device, T.bfloat16, enabled=precision == "bfloat16"):
            out = run(x)
        loss = T.nn.functional.cross_entropy(out.float(), y)
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
        return loss.detach()

    return step


def copy_to(T, model):
    """A model of PyTorch's or dtrain's, with its weights, as one of `T`'s."""
    name, module, x, y = model
    copy, _, _, make_optimizer = make(T, name, small=not ON_GPU)
    state = {key: T.from_numpy(value.numpy().copy()) for key, value in module.state_dict().items()}
    copy.load_state_dict(state)
    return copy, T.from_numpy(x.numpy()), T.from_numpy(y.numpy()), make_optimizer


def first_step():
    """The first step of a GPT, which compiles its kernels."""
    begin = time.perf_counter()
    dtrain, _ = modules()
    imported = time.perf_counter()
    make_step(dtrain, make(dtrain, "gpt2", small=True), "float32")().item()
    print(f"import {imported - begin:.1f} s, first step {time.perf_counter() - imported:.1f} s")


def steps(name):
    """The losses of a model's steps beside PyTorch's in float32, and the times of both."""
    dtrain, torch = modules()
    reference = torch or dtrain
    module, x, y, _ = make(reference, name, small=not ON_GPU)
    rows = [(reference, "float32", "eager")]
    rows += [(T, precision, "eager") for precision in LOSS_LIMITS for T in (dtrain, torch) if T]
    rows += [(torch, p, "compiled") for p in ("float32", "bfloat16") if torch and is_timed(torch)]
    rows += [(dtrain, precision, "graph") for precision in ("float32", "bfloat16")]
    expected = None
    for T, precision, form in rows:
        step = make_step(T, copy_to(T, (name, module, x, y)), precision, form)
        count = 5 if form == "graph" else 2  # two of five are replays
        losses = np.array([step().item() for _ in range(count)][:2])  # later ones drift apart
        if expected is None:
            expected = losses
            continue
        error = abs(losses / expected - 1).max()
        label = f"{name:9}{T.__name__:7}{precision:9}{form:9}"
        print(label + judge(error, LOSS_LIMITS[precision]), end="", flush=True)
        if is_timed(T):
            gigabytes = T.cuda.max_memory_reserved() / 1e9
            print(f"  {milliseconds(T, step):8.2f} ms a step  {gigabytes:5.1f} GB", end="")
            T.cuda.empty_cache()
            T.cuda.reset_peak_memory_stats()
        print(flush=True)


def bits():
    """Whether a training, twice and with CUDA graphs, and sums by index have the same bits."""
    dtrain, _ = modules()
    from dtrain.checkpoint import digest

    for name in NAMES:
        digests = set()
        for form in ("eager", "eager", "graph"):
            model = make(dtrain, name, small=not ON_GPU)
            step = make_step(dtrain, model, "float32", form)
            for _ in range(5):
                step()
            digests.add(digest(model[0].state_dict()))
        print(f"training of {name:10}{'right' if len(digests) == 1 else 'WRONG: bits differ'}")
    count = 100_000 if ON_GPU else 500
    index, weight = dtrain.randint(0, 50, (count,)).cuda(), dtrain.randn(50, 64).cuda()
    for name in ("x[index]", "embedding"):
        results = set()
        for _ in range(5):
            leaf = weight.detach().requires_grad_()
            out = leaf[index] if name[0] == "x" else dtrain.nn.functional.embedding(index, leaf)
            (out * out).sum().backward()
            results.add(leaf.grad.cpu().numpy().tobytes())
        print(f"gradient of {name:10}{'right' if len(results) == 1 else 'WRONG: bits differ'}")
