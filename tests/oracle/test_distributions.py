"""Distributions against PyTorch's: values, gradients, divergences, transforms, messages."""

import itertools

import numpy as np
import pytest

torch = pytest.importorskip("torch")

import dtrain  # noqa: E402
from tests.cases.distribution_cases import DISTRIBUTIONS, KL_PAIRS, TRANSFORMS  # noqa: E402

pytestmark = pytest.mark.oracle

by_name = pytest.mark.parametrize("name", DISTRIBUTIONS)
PROPERTIES = ["mean", "variance", "mode", "stddev", "batch_shape", "event_shape"]


def plain(value):
    if isinstance(value, (dtrain.Tensor, torch.Tensor)):
        return value.detach().numpy()
    return np.asarray(tuple(value))


def outcome(compute):
    """The value, or that there is none."""
    try:
        return compute()
    except NotImplementedError:
        return None


def tolerance(name, rtol=1e-9):
    return 1e-6 if name == "VonMises" else rtol  # PyTorch's Bessel functions have 7 digits


def assert_alike(ours, theirs, rtol=1e-9):
    assert (ours is None) == (theirs is None)
    if ours is not None:
        np.testing.assert_allclose(plain(ours), plain(theirs), rtol=rtol, atol=1e-12)


@by_name
def test_properties_and_entropies_are_those_of_pytorch(name):
    ours, theirs = (DISTRIBUTIONS[name].make(t) for t in (dtrain, torch))
    for attribute in PROPERTIES:
        theirs_value = outcome(lambda a=attribute: getattr(theirs, a))
        if theirs_value is not None:  # some of ours are there where PyTorch's are not
            assert_alike(getattr(ours, attribute), theirs_value, tolerance(name))
    expected = outcome(theirs.entropy)
    if expected is not None:
        assert_alike(ours.entropy(), expected, rtol=1e-7)
    assert ours.has_rsample == theirs.has_rsample
    assert ours.has_enumerate_support == theirs.has_enumerate_support
    assert ours.support.event_dim == theirs.support.event_dim
    assert ours.support.is_discrete == theirs.support.is_discrete


@by_name
@pytest.mark.parametrize("method", ["log_prob", "cdf"])
def test_values_and_their_gradients_are_those_of_pytorch(name, method):
    case = DISTRIBUTIONS[name]
    found = []
    for t in (dtrain, torch):
        params = case.tensors(t, requires_grad=True)
        value = t.from_numpy(np.array(case.values()))
        made = case.build(t, *params)
        out = outcome(lambda m=made, v=value: getattr(m, method)(v))
        if out is not None and out.requires_grad and method == "log_prob":
            out.sum().backward()
        found.append((out, [p.grad for p in params] if out is not None else []))
    (ours, our_grads), (theirs, their_grads) = found
    if theirs is None:
        return
    assert_alike(ours, theirs, tolerance(name))
    for a, b in zip(our_grads, their_grads, strict=True):
        assert_alike(a, b, tolerance(name, 1e-7))


@by_name
def test_quantiles_are_those_of_pytorch(name):
    u = np.linspace(0.05, 0.95, 7).reshape(7, 1)
    ours, theirs = (
        outcome(lambda t=t: DISTRIBUTIONS[name].make(t).icdf(t.from_numpy(u)))
        for t in (dtrain, torch)
    )
    if theirs is not None:
        assert_alike(ours, theirs)


@by_name
def test_expanded_distributions_and_their_text_are_those_of_pytorch(name):
    case = DISTRIBUTIONS[name]
    ours, theirs = (case.make(t) for t in (dtrain, torch))
    if "()" not in repr(theirs) and "\n" not in repr(theirs):  # which say less
        assert repr(ours).replace("dtrain.Size", "torch.Size") == repr(theirs)
    shape = (5, *ours.batch_shape)
    ours, theirs = ours.expand(shape), theirs.expand(shape)
    assert ours.batch_shape == theirs.batch_shape
    value = np.array(case.values())
    logs = (d.log_prob(t.from_numpy(value)) for d, t in ((ours, dtrain), (theirs, torch)))
    assert_alike(*logs, tolerance(name))
    assert ours.sample((5,)).shape == theirs.sample((5,)).shape


@by_name
def test_enumerated_values_are_those_of_pytorch(name):
    ours, theirs = (DISTRIBUTIONS[name].make(t) for t in (dtrain, torch))
    for expand in (True, False):
        expected = outcome(lambda e=expand: theirs.enumerate_support(expand=e))
        if expected is not None:
            assert_alike(ours.enumerate_support(expand=expand), expected)


@pytest.mark.parametrize(("p", "q"), KL_PAIRS, ids=lambda name: name)
def test_divergences_and_their_gradients_are_those_of_pytorch(p, q):
    found = []
    for t in (dtrain, torch):
        params = [
            DISTRIBUTIONS[n].tensors(t, requires_grad=True, seed=s) for s, n in enumerate((p, q))
        ]
        one, other = (DISTRIBUTIONS[n].build(t, *values) for n, values in zip((p, q), params))
        value = t.distributions.kl_divergence(one, other)
        if value.requires_grad:
            value.sum().backward()
        found.append((value, [v.grad for v in itertools.chain(*params)]))
    (ours, our_grads), (theirs, their_grads) = found
    assert_alike(ours, theirs, rtol=1e-7)
    for a, b in zip(our_grads, their_grads, strict=True):
        zero = np.zeros(())
        np.testing.assert_allclose(
            zero if a is None else plain(a), zero if b is None else plain(b), rtol=1e-6, atol=1e-9
        )


@pytest.mark.parametrize("name", TRANSFORMS)
def test_transforms_are_those_of_pytorch(name):
    make, x = TRANSFORMS[name]
    found = []
    for t in (dtrain, torch):
        transform, value = make(t.distributions, t), t.from_numpy(np.array(x)).requires_grad_()
        y = transform(value)
        logs = outcome(lambda tr=transform, v=value, y=y: tr.log_abs_det_jacobian(v, y))
        (y.sum() if logs is None else y.sum() + logs.sum()).backward()
        back = transform.inv(y.detach())
        shapes = transform.forward_shape(value.shape), transform.inverse_shape(y.shape)
        found.append((y, logs, value.grad, back, *map(tuple, shapes)))
        found[-1] += (np.array([transform.domain.event_dim, transform.codomain.event_dim]),)
    for ours, theirs in zip(*found, strict=True):
        assert_alike(ours, theirs, rtol=1e-8)


@pytest.mark.parametrize(
    "make",
    [
        lambda t: t.distributions.Normal(0.0, -1.0),
        lambda t: t.distributions.Normal(t.tensor([0.0, float("nan")]), 1.0),
        lambda t: t.distributions.Bernoulli(1.5),
        lambda t: t.distributions.Gamma(t.tensor([1.0, 0.0]), 1.0),
        lambda t: t.distributions.Categorical(t.tensor([0.5, -0.5, 2.0])),
        lambda t: t.distributions.Dirichlet(t.tensor([1.0, -1.0])),
        lambda t: t.distributions.MultivariateNormal(t.zeros(2), -t.eye(2)),
        lambda t: t.distributions.Geometric(0.0),
        lambda t: t.distributions.Exponential(1.0).log_prob(t.tensor(-1.0)),
        lambda t: t.distributions.Bernoulli(0.5).log_prob(t.tensor(0.5)),
        lambda t: t.distributions.Categorical(t.ones(3)).log_prob(t.tensor(3)),
        lambda t: t.distributions.Normal(t.zeros(2), 1.0).log_prob(t.zeros(3)),
        lambda t: t.distributions.Dirichlet(t.ones(2)).log_prob(t.ones(3)),
        lambda t: t.distributions.Normal(0.0, 1.0).log_prob(0.5),
        lambda t: t.distributions.Bernoulli(),
        lambda t: t.distributions.Bernoulli(0.5, 0.0),
    ],
)
def test_what_pytorch_refuses_is_refused_with_the_same_value(make):
    refusals = []
    for t in (dtrain, torch):
        with pytest.raises(ValueError) as error:  # noqa: PT011
            make(t)
        refusals.append(str(error.value))
    ours, theirs = (text.replace("dtrain.Size", "torch.Size") for text in refusals)
    if theirs.startswith("Expected "):
        assert ours.split("\n")[0].split(" but ")[0] == theirs.split("\n")[0].split(" but ")[0]
