"""The tables of layers and operations, compiled: values, gradients, buffers and draws are eager's."""

import dataclasses

import pytest

import dtrain
from dtrain import nn
from tests.cases.case import leaf, run_backward
from tests.cases.layer_case import filled, ran_backward, tensors
from tests.cases.layer_cases import MODULES
from tests.cases.samples import SAMPLES, laid_out
from tests.jit.test_rules import require_same

# some run without a graph
pytestmark = pytest.mark.filterwarnings("ignore:compile. .* without a graph:RuntimeWarning")


def host_arrays(values):
    return [None if x is None else x.to_dense().detach().numpy().copy() for x in values]


def trained(name, compiles):
    """What four passes leave: outputs, gradients, the state, and the random generator."""
    layer = MODULES[name]
    dtrain.manual_seed(0)
    module = filled(layer, nn)

    def run(*inputs):
        return layer.run(nn, module, *inputs)

    called = dtrain.compile(run) if compiles else run
    row = dataclasses.replace(layer, call=lambda _nn, _module, *inputs: called(*inputs))
    found = []
    for step in range(4):
        inputs = tensors(layer, dtrain, step)
        found += host_arrays(ran_backward(row, dtrain, module, inputs))
        found += host_arrays([x.grad for x in inputs])
    parameters = module.parameters() if isinstance(module, nn.Module) else []
    found += host_arrays([p.grad for p in parameters])
    return found + host_arrays(module.state_dict().values()) + host_arrays([dtrain.rand(2)])


def test_layers_have_eager_bits():
    for name in list(MODULES)[5::30]:
        require_same(trained(name, True), trained(name, False))


@pytest.mark.long
@pytest.mark.parametrize("name", MODULES)
def test_each_layer_has_eager_bits(name):
    require_same(trained(name, True), trained(name, False))


def outcome(run, arrays):
    """The outputs and gradients of an operation."""
    leaves = [leaf(array) for array in arrays]
    outputs = run(*leaves)
    recorded = [y for y in outputs if y.requires_grad]
    if recorded:
        run_backward(recorded)
    return host_arrays([*outputs, *(x.grad for x in leaves)])


@pytest.mark.long
@pytest.mark.parametrize("layout", ["contiguous", "transposed"])
@pytest.mark.parametrize("start", range(8))
def test_each_operation_has_eager_bits(start, layout):
    for case, sample in SAMPLES[start::8]:
        arrays = laid_out(case, sample, layout)

        def function(*xs, run=case.run):
            return run(dtrain, *xs)

        compiled = dtrain.compile(function)
        for _ in range(4):
            dtrain.manual_seed(0)
            mine = outcome(compiled, arrays)
            dtrain.manual_seed(0)
            require_same(mine, outcome(function, arrays))
