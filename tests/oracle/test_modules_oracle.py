"""What modules and containers do, next to PyTorch's: names, states, hooks, refusals."""

import copy
import pickle
from collections import OrderedDict

import pytest

torch = pytest.importorskip("torch")

import dtrain  # noqa: E402

pytestmark = pytest.mark.oracle


def tied(t):
    """Two names of one module and of one parameter; a buffer that is not saved; nothing."""
    nn = t.nn
    model = nn.Module()
    model.first = nn.Linear(2, 3)
    model.again = model.first
    model.second = nn.Sequential(OrderedDict(a=nn.Linear(3, 3), b=nn.BatchNorm1d(3)))
    model.second.a.weight = nn.Parameter(t.zeros(3, 3))
    model.tied = model.second.a.weight
    model.register_buffer("count", t.tensor(3))
    model.register_buffer("cache", t.zeros(2), persistent=False)
    model.register_buffer("absent", None)
    model.register_parameter("nothing", None)
    model.nobody = None
    return model


def names(pairs):
    return [name for name, _ in pairs]


def small(t):
    return t.nn.Sequential(t.nn.Linear(2, 3), t.nn.ReLU(), t.nn.Linear(3, 1))


def with_extra(t):
    class Extra(t.nn.Linear):
        def get_extra_state(self):
            return {"seen": 7}

        def set_extra_state(self, state):
            self.seen = state["seen"]

    return t.nn.Sequential(Extra(2, 2), t.nn.ReLU())


def loaded_extra(t):
    model = with_extra(t)
    result = model.load_state_dict(with_extra(t).state_dict())
    return model[0].seen, list(model.state_dict()), repr(result)


def state_hooks(t):
    model, seen = small(t), []
    model[0].register_state_dict_pre_hook(lambda m, prefix, keep: seen.append((prefix, keep)))
    handle = model.register_state_dict_post_hook(
        lambda m, state, prefix, local: state.update(more=1)
    )
    first = list(model.state_dict())
    handle.remove()
    return first, list(model.state_dict(prefix="x.", keep_vars=True)), seen


def load_hooks(t):
    model, state, seen = small(t), small(t).state_dict(), []
    state["old"] = state.pop("0.bias")

    def rename(module, state_dict, prefix, local, strict, missing, unexpected, errors):
        seen.append((prefix, list(missing), list(unexpected), list(errors)))
        if "old" in state_dict:
            state_dict["0.bias"] = state_dict.pop("old")

    model.register_load_state_dict_pre_hook(rename)
    model.register_load_state_dict_post_hook(lambda m, keys: seen.append(list(keys.missing_keys)))
    return repr(model.load_state_dict(state)), seen, list(state)


def forgiving(t):
    model = small(t)
    model.register_load_state_dict_post_hook(lambda m, keys: keys.missing_keys.clear())
    state = model.state_dict()
    del state["0.bias"]
    return list(model.load_state_dict(state).missing_keys)


def assigned(t):
    model, state = small(t), small(t).double().state_dict()
    model[0].weight.requires_grad_(False)
    model.load_state_dict(state, assign=True)
    shares = model[0].weight.data_ptr() == state["0.weight"].data_ptr()
    kinds = [type(p).__name__ for p in model.parameters()]
    wants = [p.requires_grad for p in model.parameters()]
    return shares, kinds, wants, [str(p.dtype).split(".")[-1] for p in model.parameters()]


def train_is_called_on_children(t):
    class Frozen(t.nn.Linear):
        def train(self, mode=True):
            return super().train(False)

    model = t.nn.Sequential(Frozen(1, 1), t.nn.ReLU())
    return [m.training for m in model.train().modules()]


def set_submodules(t):
    model = tied(t)
    model.set_submodule("second.a", t.nn.ReLU())
    model.set_submodule("second.new", t.nn.Tanh())
    return names(model.named_modules()), repr(model.get_submodule("second.a"))


def attributes(t):
    model = tied(t)
    model.first.weight = t.nn.Parameter(t.ones(3, 2))  # keeps its place
    model.count = None
    model.cache = t.ones(1)
    model.plain = 3
    model.plain = t.nn.Parameter(t.ones(1))
    before = names(model.named_parameters())
    del model.plain
    model.nobody = t.nn.ReLU()
    return before, names(model.named_parameters()), names(model.named_buffers()), repr(model)


def before_init(t):
    class Early(t.nn.Module):
        def __init__(self):
            self.size = 3
            super().__init__()

    return Early().size


def built(t):
    nn = t.nn
    model = nn.Sequential(nn.Linear(1, 2), nn.ReLU())
    model += nn.Sequential(nn.Tanh())
    model.insert(1, nn.Sigmoid()).append(nn.Linear(2, 2)).insert(-1, nn.Identity())
    popped = model.pop(0)
    model.extend(nn.Sequential(nn.ReLU()))
    del model[1:3]
    return repr(model), repr(popped), repr(model * 2), repr(2 * model + model), len(model)


def named(t):
    nn = t.nn
    model = nn.Sequential(OrderedDict(a=nn.Linear(1, 2), b=nn.ReLU(), c=nn.Tanh()))
    sliced = repr(model[1:])
    model[0] = nn.Identity()
    return sliced, repr(model), repr(model[-1]), "a" in dir(model)


def listed(t):
    nn = t.nn
    modules = nn.ModuleList([nn.Linear(1, 1)])
    modules += [nn.ReLU()]
    modules.insert(0, nn.Tanh())
    modules.extend(iter([nn.Sigmoid(), nn.Identity()]))
    modules[1] = nn.ReLU()
    popped = modules.pop(-1)
    del modules[0]
    return repr(modules), repr(popped), repr(modules[:1]), repr(modules + modules), len(modules)


def mapped(t):
    nn = t.nn
    modules = nn.ModuleDict({"a": nn.ReLU()})
    modules.update([("b", nn.Tanh()), ["c", nn.Linear(1, 1)]])
    modules.update(nn.ModuleDict({"a": nn.Sigmoid()}))
    popped = modules.pop("b")
    text = repr(modules), repr(popped), list(modules), list(modules.keys()), "a" in modules
    modules.clear()
    return *text, len(modules), repr(modules)


def copied(t):
    model = tied(t)
    twins = [copy.deepcopy(model), pickle.loads(pickle.dumps(model))]
    return [
        (
            list(twin.state_dict()),
            names(twin.named_parameters()),
            twin.again is twin.first,
            twin.tied is twin.second.a.weight,
            [type(p).__name__ for p in twin.parameters()],
            [p.requires_grad for p in twin.parameters()],
        )
        for twin in twins
    ]


def dtypes_of(model):
    return [str(x.dtype).split(".")[-1] for x in (*model.parameters(), *model.buffers())]


def moved(t):
    model = tied(t)
    seen = []
    for change in ("half", "bfloat16", "double", "float", "cpu"):
        seen.append(dtypes_of(getattr(model, change)()))
    seen.append(dtypes_of(model.to(t.zeros(1, dtype=t.float64))))
    seen.append(dtypes_of(model.type(t.float32)))
    seen.append([tuple(p.shape) for p in model.to_empty(device="cpu").parameters()])
    return seen


BEHAVIOURS = {
    "parameters": lambda t: names(tied(t).named_parameters()),
    "all parameters": lambda t: names(tied(t).named_parameters("x", remove_duplicate=False)),
    "own parameters": lambda t: names(tied(t).named_parameters(recurse=False)),
    "buffers": lambda t: names(tied(t).named_buffers()),
    "all buffers": lambda t: names(tied(t).named_buffers(prefix="x", remove_duplicate=False)),
    "modules": lambda t: names(tied(t).named_modules()),
    "all modules": lambda t: names(tied(t).named_modules(prefix="x", remove_duplicate=False)),
    "children": lambda t: names(tied(t).named_children()),
    "state": lambda t: list(tied(t).state_dict()),
    "state with a prefix": lambda t: list(tied(t).state_dict(prefix="x.")),
    "state into a dict": lambda t: list(tied(t).state_dict(destination={"y": 1}, prefix="x.")),
    "state kept in the graph": lambda t: [
        x.requires_grad for x in tied(t).state_dict(keep_vars=True).values()
    ],
    "repr": lambda t: repr(tied(t)),
    "dir": lambda t: [n for n in dir(tied(t)) if n in ("first", "tied", "count", "absent", "x")],
    "dir of a list": lambda t: [n for n in dir(small(t)) if n.isdigit()],
    "lookups": lambda t: (
        tuple(tied(t).get_parameter("second.a.bias").shape),
        tuple(tied(t).get_buffer("second.b.running_mean").shape),
        repr(tied(t).get_submodule("second.a")),
    ),
    "scalar from a vector": lambda t: t.nn.BatchNorm1d(2).load_state_dict(
        {**t.nn.BatchNorm1d(2).state_dict(), "num_batches_tracked": t.tensor([3])}
    ).missing_keys,
    "extra state": loaded_extra,
    "state hooks": state_hooks,
    "load hooks": load_hooks,
    "forgiving": forgiving,
    "assigned": assigned,
    "train": train_is_called_on_children,
    "set_submodule": set_submodules,
    "attributes": attributes,
    "before init": before_init,
    "Sequential": built,
    "named Sequential": named,
    "ModuleList": listed,
    "ModuleDict": mapped,
    "copies": copied,
    "moves": moved,
}  # fmt: skip


@pytest.mark.parametrize("name", BEHAVIOURS)
def test_modules_behave_as_in_pytorch(name):
    behave = BEHAVIOURS[name]
    # pickle finds classes by their names: those of this module are functions' own
    assert behave(dtrain) == behave(torch)


def loading(state, **options):
    return lambda t: small(t).load_state_dict(state(t), **options)


REFUSED = {
    "train": lambda t: small(t).train("no"),
    "to integers": lambda t: small(t).to(t.int64),
    "parameter of a wrong kind": lambda t: t.nn.Module().register_parameter("a", t.ones(2)),
    "parameter with a dot": lambda t: t.nn.Module().register_parameter("a.b", None),
    "parameter without a name": lambda t: t.nn.Module().register_parameter("", None),
    "parameter of a number": lambda t: t.nn.Module().register_parameter(3, None),
    "parameter that is an attribute": lambda t: t.nn.Module().register_parameter("train", None),
    "buffer of a wrong kind": lambda t: t.nn.Module().register_buffer("a", 3),
    "buffer that is a parameter": lambda t: t.nn.Linear(1, 1).register_buffer("weight", None),
    "module of a wrong kind": lambda t: t.nn.Module().add_module("a", 3),
    "module with a dot": lambda t: t.nn.Module().add_module("a.b", None),
    "assigned parameter": lambda t: setattr(t.nn.Linear(1, 1), "weight", t.ones(1, 1)),
    "assigned buffer": lambda t: setattr(t.nn.BatchNorm1d(1), "running_mean", 3),
    "assigned module": lambda t: setattr(tied(t), "first", 3),
    "no attribute": lambda t: t.nn.Module().nothing,
    "deleted": lambda t: delattr(t.nn.Module(), "nothing"),
    "no submodule": lambda t: tied(t).get_submodule("second.c"),
    "not a submodule": lambda t: tied(t).get_submodule("tied"),
    "no parameter": lambda t: tied(t).get_parameter("second.a.c"),
    "not a parameter": lambda t: tied(t).get_parameter("count"),
    "not a buffer": lambda t: tied(t).get_buffer("tied"),
    "set nothing": lambda t: tied(t).set_submodule("", t.nn.ReLU()),
    "set strictly": lambda t: tied(t).set_submodule("new", t.nn.ReLU(), strict=True),
    "set no module": lambda t: tied(t).set_submodule("first", 3),
    "set on a tensor": lambda t: tied(t).set_submodule("tied", t.nn.ReLU()),
    "no extra state": lambda t: t.nn.Module().get_extra_state(),
    "extra state missing": lambda t: with_extra(t).load_state_dict(
        {k: v for k, v in with_extra(t).state_dict().items() if "extra" not in k}
    ),
    "no forward": lambda t: t.nn.Module()(1),
    "state that is no dict": loading(lambda t: [1]),
    "state of shapes": loading(lambda t: {**small(t).state_dict(), "0.bias": t.ones(4)}),
    "state without tensors": loading(lambda t: {**small(t).state_dict(), "0.bias": 3}),
    "state missing": loading(lambda t: {}),
    "assigned shapes": loading(lambda t: {"0.bias": t.ones(4)}, strict=False, assign=True),
    "index": lambda t: small(t)[3],
    "index of a list": lambda t: t.nn.ModuleList()[0],
    "float index": lambda t: small(t)[1.0],
    "add a list": lambda t: small(t).__add__([t.nn.ReLU()]),
    "times nothing": lambda t: small(t) * 0,
    "times a half": lambda t: small(t) * 0.5,
    "insert far": lambda t: small(t).insert(5, t.nn.ReLU()),
    "insert a number": lambda t: small(t).insert(0, 3),
    "append a number": lambda t: small(t).append(3),
    "extend by a number": lambda t: t.nn.ModuleList().extend(3),
    "update by a number": lambda t: t.nn.ModuleDict().update(3),
    "update by numbers": lambda t: t.nn.ModuleDict().update([3]),
    "update by triples": lambda t: t.nn.ModuleDict().update([("a", "b", "c")]),
    "key": lambda t: t.nn.ModuleDict()["a"],
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_pytorch_refuses_is_refused_with_the_same_kind_of_error(name):
    with pytest.raises(Exception) as theirs:  # noqa: PT011
        REFUSED[name](torch)
    with pytest.raises(theirs.type):
        REFUSED[name](dtrain)
