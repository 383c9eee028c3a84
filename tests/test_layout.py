"""The families of functions and primitives, and the signatures that help() and editors show."""

import inspect
import types

import pytest

import dtrain
from dtrain.autograd.op import OPS
from dtrain.functions import table
from dtrain.nn import functional

#: Names that a function and a primitive of different meaning share.
DIFFERENT = {
    "norm",  # torch.linalg.norm calls the norm of a matrix or of a vector, which is a reduction
    "unfold",  # nn.functional.unfold cuts images; the primitive is Tensor.unfold's window view
}

METHODS = {
    name: value
    for name in dir(dtrain.Tensor)
    if not name.startswith("_")
    and inspect.isroutine(value := inspect.getattr_static(dtrain.Tensor, name))
}


def family(module):
    """The name after functions, nn.functional or primitives in a module's name, or None."""
    for package in ("dtrain.functions.", "dtrain.nn.functional.", "dtrain.primitives."):
        if module.startswith(package):
            return module.removeprefix(package).partition(".")[0]
    return None


def public_families():
    """The families of each public function: one, unless two modules of PyTorch have the name."""
    found = {}
    tables = table.FUNCTIONS, table.FREE_FUNCTIONS, vars(functional)
    for name, function in (item for functions in tables for item in functions.items()):
        if isinstance(function, types.FunctionType) and family(function.__module__):
            found.setdefault(name, set()).add(family(function.__module__))
    return found


FAMILIES = public_families()


@pytest.mark.parametrize("name", sorted(set(OPS) & set(FAMILIES) - DIFFERENT))
def test_a_function_and_its_primitive_are_in_files_of_one_name(name):
    assert {family(OPS[name].__module__)} == FAMILIES[name]


PUBLIC = {
    name: getattr(dtrain, name)
    for name in dtrain.__all__
    if isinstance(getattr(dtrain, name), types.FunctionType)
}


def is_bare(function):
    """Whether a signature is (*args, **kwargs), which says nothing."""
    kinds = [p.kind for p in inspect.signature(function).parameters.values() if p.name != "self"]
    return kinds == [inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD]


@pytest.mark.parametrize("name", sorted(PUBLIC))
def test_a_public_function_has_a_signature_a_docstring_and_its_name(name):
    function = PUBLIC[name]
    assert not is_bare(function)
    assert function.__doc__
    assert not function.__name__.startswith(("_", "torch_"))


@pytest.mark.parametrize("name", sorted(METHODS))
def test_a_method_has_a_signature_and_a_docstring(name):
    assert not is_bare(METHODS[name])
    assert METHODS[name].__doc__


def test_help_names_the_operation():
    assert str(inspect.signature(dtrain.exp)).startswith("(input: 'Tensor'")
    assert list(inspect.signature(dtrain.Tensor.add_).parameters) == ["self", "other", "alpha"]
    assert dtrain.exp.__doc__.endswith("(torch.exp).")
