"""`Module`: names, state, modes, moving, and how it looks."""

import copy
import pickle

import pytest

import dtrain
from dtrain import nn


class Block(nn.Module):
    """A parameter, two buffers and two submodules, of which one is used twice."""

    def __init__(self):
        super().__init__()
        self.scale = nn.Parameter(dtrain.ones(2))
        self.register_buffer("count", dtrain.tensor(0))
        self.register_buffer("cache", dtrain.zeros(1), persistent=False)
        self.first = nn.Linear(2, 2)
        self.again = self.first
        self.rest = nn.Sequential(nn.ReLU(), nn.Linear(2, 1, bias=False))

    def forward(self, x):
        return self.rest(self.again(self.first(x)) * self.scale)


PARAMETERS = ["scale", "first.weight", "first.bias", "rest.1.weight"]
STATE = [
    "scale", "count", "first.weight", "first.bias", "again.weight", "again.bias", "rest.1.weight",
]  # fmt: skip


def names(pairs):
    return [name for name, _ in pairs]


# --- what is in it ---


def test_parameters_buffers_and_modules_are_named_once_each():
    block = Block()
    assert names(block.named_parameters()) == PARAMETERS
    assert names(block.named_buffers()) == ["count", "cache"]
    assert names(block.named_modules()) == ["", "first", "rest", "rest.0", "rest.1"]
    assert names(block.named_children()) == ["first", "rest"]
    assert list(block.parameters())[1] is block.first.weight
    assert len(list(block.modules())) == 5
    assert len(list(block.buffers())) == 2
    assert list(block.children()) == [block.first, block.rest]


def test_submodules_are_found_by_dotted_names():
    block = Block()
    assert block.get_submodule("rest.1") is block.rest[1]
    assert block.get_submodule("") is block
    with pytest.raises(AttributeError, match="Sequential has no attribute `nothing`"):
        block.get_submodule("rest.nothing")


def test_attributes_move_between_the_tables():
    block = Block()
    block.first = None
    assert block.first is None
    block.scale = None
    assert names(block.named_parameters()) == ["again.weight", "again.bias", "rest.1.weight"]
    block.count = dtrain.tensor(5)
    assert block.state_dict()["count"].item() == 5
    block.label = "plain"
    block.label = nn.Parameter(dtrain.ones(1))
    assert "label" in names(block.named_parameters())
    del block.label
    assert not hasattr(block, "label")


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("scale", dtrain.ones(2), "cannot assign Tensor as parameter 'scale'"),
        ("first", 3, "cannot assign int as child module 'first'"),
    ],
)
def test_an_attribute_keeps_its_kind(name, value, message):
    with pytest.raises(TypeError, match=message):
        setattr(Block(), name, value)


def test_attributes_wait_for_super_init():
    class Early(nn.Module):
        def __init__(self):
            self.layer = nn.Linear(1, 1)

    with pytest.raises(AttributeError, match=r"call super\(\).__init__\(\) before layer"):
        Early()


def test_an_attribute_that_is_not_there_is_said():
    with pytest.raises(AttributeError, match="'Block' object has no attribute 'nothing'"):
        _ = Block().nothing


def test_a_module_without_forward_says_so():
    with pytest.raises(NotImplementedError, match="must have a method forward"):
        nn.Module()(1)


def test_memory_is_not_shared_between_processes():
    with pytest.raises(NotImplementedError, match="no tensor is shared between processes"):
        nn.Linear(1, 1).share_memory()


def test_call_is_forward_and_gradients_reach_all_parameters():
    block = Block()
    block(dtrain.ones(3, 2)).sum().backward()
    assert all(p.grad is not None and p.grad.shape == p.shape for p in block.parameters())


# --- state ---


def test_state_shares_memory_and_leaves_out_transient_buffers():
    block = Block()
    state = block.state_dict()
    assert list(state) == STATE
    assert not any(t.requires_grad for t in state.values())
    state["scale"].zero_()
    assert block.scale.tolist() == [0, 0]


def test_loaded_state_is_copied_and_the_keys_matched():
    ours, theirs = Block(), Block()
    missing, unexpected = ours.load_state_dict(theirs.state_dict())
    assert (missing, unexpected) == ([], [])
    assert all(a.tolist() == b.tolist() for a, b in zip(ours.parameters(), theirs.parameters()))
    with dtrain.no_grad():
        theirs.first.weight.zero_()
    assert ours.first.weight.any()


def test_loading_what_is_not_strict_returns_the_keys():
    block = Block()
    result = block.load_state_dict(
        {"scale": dtrain.zeros(2), "more": dtrain.zeros(1)}, strict=False
    )
    assert result.missing_keys == [name for name in STATE if name != "scale"]
    assert result.unexpected_keys == ["more"]
    assert block.scale.tolist() == [0, 0]


def wrong_states():
    """A name, the state, strict, and the lines of the message."""
    whole = nn.Linear(3, 2).state_dict()
    other = nn.Linear(2, 3).state_dict()
    mismatch = [
        "size mismatch for weight: copying a param with shape (3, 2) from checkpoint, the shape in "
        "current model is (2, 3).",
        "size mismatch for bias: copying a param with shape (3,) from checkpoint, the shape in "
        "current model is (2,).",
    ]
    return [
        ("missing", {"weight": whole["weight"]}, True, ['Missing key(s) in state_dict: "bias". ']),
        (
            "unexpected",
            {**whole, "a": whole["bias"], "b.c": whole["bias"]},
            True,
            ['Unexpected key(s) in state_dict: "a", "b.c". '],
        ),
        (
            "both",
            {"weight": whole["weight"], "a": whole["bias"]},
            True,
            ['Missing key(s) in state_dict: "bias". ', 'Unexpected key(s) in state_dict: "a". '],
        ),
        ("shapes", other, True, mismatch),
        ("shapes, not strict", {**other, "a": other["bias"]}, False, mismatch),
        (
            "no tensor",
            {"weight": whole["weight"], "bias": [0.0, 0.0]},
            True,
            [
                'While copying the parameter named "bias", expected dtrain.Tensor from '
                "checkpoint but received list."
            ],
        ),
    ]


@pytest.mark.parametrize(("state", "strict", "lines"), [row[1:] for row in wrong_states()],
                         ids=[row[0] for row in wrong_states()])  # fmt: skip
def test_a_state_that_does_not_fit_is_listed_and_nothing_is_copied(state, strict, lines):
    layer = nn.Linear(3, 2)
    before = [p.tolist() for p in layer.parameters()]
    with pytest.raises(RuntimeError) as caught:
        layer.load_state_dict(state, strict=strict)
    assert str(caught.value) == "\n\t".join(["Error(s) in loading state_dict for Linear:", *lines])
    assert [p.tolist() for p in layer.parameters()] == before


def test_a_deep_copy_shares_nothing():
    block = Block()
    block(dtrain.ones(1, 2)).sum().backward()
    twin = copy.deepcopy(block)
    assert names(twin.named_parameters()) == PARAMETERS
    assert twin.again is twin.first
    assert all(type(p) is nn.Parameter and p.requires_grad for p in twin.parameters())
    with dtrain.no_grad():
        for p in twin.parameters():
            p.zero_()
            p.grad.zero_()
    assert block.scale.tolist() == [1, 1]
    assert block.first.weight.any()
    assert block.rest[1].weight.grad.any()


def test_assigned_state_is_the_tensors_themselves():
    block, state = Block(), {k: v.double() for k, v in Block().state_dict().items()}
    block.load_state_dict(state, assign=True)
    assert block.scale.dtype == dtrain.float64
    assert block.scale.requires_grad
    state["scale"].zero_()
    assert block.scale.tolist() == [0, 0]


def test_hooks_change_the_state_on_its_way():
    block, order = Block(), []
    block.rest.register_state_dict_pre_hook(lambda m, prefix, keep: order.append(prefix))
    block.register_state_dict_post_hook(lambda m, state, prefix, local: order.append(len(state)))
    state = block.state_dict()
    assert order == ["rest.", len(STATE)]
    state["size"] = state.pop("scale") * 0
    block.register_load_state_dict_pre_hook(
        lambda m, state, *rest: state.update(scale=state.pop("size"))
    )
    block.register_load_state_dict_post_hook(lambda m, keys: order.append(m.scale.tolist()))
    assert repr(block.load_state_dict(state)) == "<All keys matched successfully>"
    assert order[2:] == [[0, 0]]
    assert "size" in state


def test_a_pickled_module_is_whole():
    block = pickle.loads(pickle.dumps(Block()))
    assert names(block.named_parameters()) == PARAMETERS
    assert block.again is block.first
    assert list(block.state_dict()) == STATE
    assert all(type(p) is nn.Parameter and p.requires_grad for p in block.parameters())


def test_a_pickled_view_is_a_tensor_of_its_own():
    base = dtrain.arange(6.0)
    part = pickle.loads(pickle.dumps(base[2:4]))
    part.add_(10)
    assert part.tolist() == [12, 13]
    assert base.tolist() == [0, 1, 2, 3, 4, 5]


# --- what is done to all of it ---


def test_train_and_eval_reach_every_module():
    block = Block()
    assert block.eval() is block
    assert not any(module.training for module in block.modules())
    block.rest.train()
    assert [module.training for module in block.modules()] == [False, False, True, True, True]


def test_apply_goes_from_the_leaves_to_the_root():
    seen = []
    block = Block()
    assert block.apply(lambda module: seen.append(type(module).__name__)) is block
    assert seen == ["Linear", "ReLU", "Linear", "Sequential", "Block"]


def test_to_a_dtype_moves_floats_and_their_gradients_in_place():
    block = Block()
    block(dtrain.ones(1, 2)).sum().backward()
    before = list(block.parameters())
    assert block.to(dtrain.float64) is block
    assert all(a is b for a, b in zip(block.parameters(), before))
    assert {p.dtype for p in block.parameters()} == {dtrain.float64}
    assert {p.grad.dtype for p in block.parameters()} == {dtrain.float64}
    assert (block.cache.dtype, block.count.dtype) == (dtrain.float64, dtrain.int64)
    assert block.half().scale.dtype == dtrain.float16
    assert block.float().scale.dtype == dtrain.float32
    assert block.double().cpu().scale.is_leaf


def test_requires_grad_of_all_parameters():
    block = Block().requires_grad_(False)
    assert not block(dtrain.ones(1, 2)).requires_grad


def test_zero_grad_forgets_or_writes_zeros():
    layer = nn.Linear(2, 1)
    layer(dtrain.ones(1, 2)).sum().backward()
    layer.zero_grad(set_to_none=False)
    assert layer.weight.grad.tolist() == [[0, 0]]
    layer.zero_grad()
    assert layer.weight.grad is None


# --- containers ---


def test_sequential_is_indexed_sliced_and_extended():
    model = nn.Sequential(nn.Linear(2, 3), nn.ReLU(), nn.Linear(3, 1))
    assert len(model) == 3
    assert model[-1].out_features == 1
    assert [type(m).__name__ for m in model[:2]] == ["Linear", "ReLU"]
    assert model[:2](dtrain.ones(4, 2)).shape == (4, 3)
    model[1] = nn.Tanh()
    model.append(nn.Sigmoid())
    assert [type(m).__name__ for m in model] == ["Linear", "Tanh", "Linear", "Sigmoid"]
    assert names(model.named_children()) == ["0", "1", "2", "3"]


def test_sequential_takes_names():
    model = nn.Sequential({"in": nn.Linear(2, 2), "out": nn.Linear(2, 1)})
    assert names(model.named_parameters()) == ["in.weight", "in.bias", "out.weight", "out.bias"]


def test_module_list_registers_its_modules():
    layers = nn.ModuleList(nn.Linear(1, 1) for _ in range(2))
    layers.append(nn.Linear(1, 2)).extend([nn.ReLU()])
    assert len(layers) == 4
    assert names(layers.named_parameters())[-1] == "2.bias"
    assert isinstance(layers[:2], nn.ModuleList)


# --- how it looks ---


def test_repr_nests_and_shows_options():
    class Named(nn.Module):
        def __init__(self):
            super().__init__()
            self.inner = nn.Sequential(nn.Conv2d(1, 2, 3, bias=False), nn.Flatten())

        def extra_repr(self):
            return "size=3"

    assert repr(Named()) == (
        "Named(\n"
        "  size=3\n"
        "  (inner): Sequential(\n"
        "    (0): Conv2d(1, 2, kernel_size=(3, 3), stride=(1, 1), bias=False)\n"
        "    (1): Flatten(start_dim=1, end_dim=-1)\n"
        "  )\n"
        ")"
    )
    assert repr(nn.Parameter(dtrain.ones(1))) == (
        "Parameter containing:\ntensor([1.], requires_grad=True)"
    )


@pytest.mark.parametrize(
    ("layer", "rows", "columns"),
    [(nn.Linear(3, 2), 2, 3), (nn.ConvTranspose1d(3, 2, 1), 2, 3), (nn.Conv1d(3, 2, 2), 2, 6)],
)
def test_spectral_norm_takes_the_outputs_of_a_layer_as_rows(layer, rows, columns):
    nn.utils.parametrizations.spectral_norm(layer)
    (norm,) = layer.parametrizations["weight"]
    assert (norm._u.shape, norm._v.shape) == ((rows,), (columns,))
