"""NumPy's functions, pandas, notebooks and run_ranks take what a user gives them."""

import numpy as np
import pytest

import dtrain
from dtrain import distributed


def test_numpys_functions_take_tensors_as_their_arrays():
    t = dtrain.tensor([[4.0, 1.0], [2.0, 3.0]])
    a = t.numpy()
    for name in ("mean", "sum", "std", "var", "max", "min", "prod", "any", "all", "sort", "cumsum", "squeeze",
                 "median", "argmax", "nonzero", "unique", "ravel", "corrcoef"):  # fmt: skip
        ours, theirs = getattr(np, name)(t), getattr(np, name)(a)
        assert type(ours) is type(theirs), name
        np.testing.assert_array_equal(ours, theirs)
    for ours, theirs in (
        (np.mean(t, axis=0), np.mean(a, axis=0)),
        (np.concatenate([t, t], axis=1), np.concatenate([a, a], axis=1)),
        (np.where(t > 2, t, 0), np.where(a > 2, a, 0)),
        (np.linalg.norm(t, axis=1), np.linalg.norm(a, axis=1)),
    ):
        assert isinstance(ours, np.ndarray)
        np.testing.assert_array_equal(ours, theirs)
    assert isinstance(np.ones((2, 2)) * t, dtrain.Tensor)
    with pytest.raises(RuntimeError, match=r"requires grad; use tensor\.detach"):
        np.mean(dtrain.nn.Parameter(t))


def test_pandas_and_matplotlib_take_tensors():
    pandas = pytest.importorskip("pandas")
    t = dtrain.tensor([1.0, 2.0])
    assert pandas.DataFrame({"a": t, "b": t * 2})["b"].tolist() == [2, 4]
    figure = pytest.importorskip("matplotlib.figure").Figure()
    (line,) = figure.subplots().plot(t, t * 3)
    assert line.get_ydata().tolist() == [3, 6]


def test_a_notebook_shows_values_and_shape():
    html = dtrain.tensor([1.0], requires_grad=True).exp()._repr_html_()
    assert html.startswith("<pre>tensor([2.7183], grad_fn=&lt;")
    assert html.endswith("<small>shape (1,), float32, cpu</small>")


def test_run_ranks_refuses_arguments_in_the_other_order():
    for arguments in ((print, 2), (True, print), (2, 3), ("2", print)):
        with pytest.raises(TypeError, match=r"the number of ranks, then .* run_ranks\(2, body\)"):
            distributed.run_ranks(*arguments)
    with pytest.raises(ValueError, match="at least 1 rank, got 0"):
        distributed.run_ranks(0, print)
