"""Lists and dictionaries of parameters."""

from collections import OrderedDict

import pytest

import dtrain
from dtrain.autograd.parameter_changes import parameter_changes
from dtrain.nn import Linear, Parameter, ParameterDict, ParameterList

NEW = Parameter(dtrain.ones(2, 2))
CHANGES = {
    "set": lambda registry: registry.__setitem__("weight", NEW),
    "delete": lambda registry: registry.__delitem__("weight"),
    "pop": lambda registry: registry.pop("weight"),
    "popitem": lambda registry: registry.popitem(),
    "setdefault": lambda registry: registry.setdefault("more", NEW),
    "update": lambda registry: registry.update(weight=NEW),
    "clear": lambda registry: registry.clear(),
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_each_change_of_a_modules_parameters_is_counted(change):
    layer = Linear(2, 2)
    before = parameter_changes.count
    change(layer._parameters)
    assert parameter_changes.count == before + 1


def names(module):
    return [name for name, _ in module.named_parameters()]


def test_a_list_holds_parameters_and_other_values():
    one, two = Parameter(dtrain.zeros(2)), dtrain.ones(3)
    values = ParameterList([one, two, "three"])
    assert values[0] is one
    assert isinstance(values[1], Parameter)
    assert values[-1] == "three"
    assert names(values) == list(values.state_dict()) == ["0", "1"]
    assert len(values[:2]) == 2
    values += [dtrain.zeros(1)]
    values[0] = dtrain.zeros(5)
    assert [len(v) for v in values if isinstance(v, Parameter)] == [5, 3, 1]
    with pytest.raises(IndexError, match="out of range for 4"):
        values[4]
    with pytest.raises(TypeError, match="several values"):
        values.extend(one)


def test_a_list_looks_like_its_values():
    assert repr(ParameterList([dtrain.zeros(2, 3), 4])) == (
        "ParameterList(\n"
        "  (0): Parameter containing: [float32 of size 2x3]\n"
        "  (1): Object of type: int\n)"
    )


def test_a_dictionary_is_one_of_parameters():
    values = ParameterDict({"b": dtrain.zeros(2), "a": dtrain.ones(3)})
    assert list(values) == ["a", "b"]  # of a plain dictionary, as in PyTorch
    assert list(ParameterDict(OrderedDict(b=dtrain.ones(1), a=dtrain.ones(2)))) == ["b", "a"]
    values["c"] = dtrain.zeros(4)
    assert names(values) == ["a", "b", "c"]
    assert list(reversed(values)) == ["c", "b", "a"]
    assert len(values.pop("c")) == 4
    assert "c" not in values
    assert values.get("c", 1) == 1
    assert values.setdefault("d", dtrain.ones(1)) is values["d"]
    assert values.popitem()[0] == "d"
    both = values | {"e": dtrain.ones(2)}
    assert list(both) == ["a", "b", "e"]
    assert both["a"] is values["a"]
    assert [len(value) for value in both.values()] == [3, 2, 2]
    both.clear()
    assert len(both) == 0 == len(names(both))
    assert list(values.fromkeys(["x", "y"], 1).items()) == [("x", 1), ("y", 1)]
    with pytest.raises(KeyError):
        values["missing"]
    with pytest.raises(TypeError, match="str as key, got int"):
        values[1] = dtrain.ones(1)


def test_parameters_in_containers_are_trained():
    class Model(dtrain.nn.Module):
        def __init__(self):
            super().__init__()
            self.weights = ParameterList([dtrain.ones(2)])
            self.named = ParameterDict({"scale": dtrain.ones(2)})

        def forward(self, x):
            return (x * self.weights[0] * self.named["scale"]).sum()

    model = Model()
    assert names(model) == ["weights.0", "named.scale"]
    model(dtrain.tensor([1.0, 2.0])).backward()
    assert [p.grad.tolist() for p in model.parameters()] == [[1, 2], [1, 2]]
