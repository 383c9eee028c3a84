"""Pictures of runs: what is drawn, in which files, and what is refused."""

import math
import sys

import numpy as np
import pytest
from typer.testing import CliRunner

import dtrain
from dtrain import distributed
from dtrain.cli.main import app
from dtrain.errors import DataError
from dtrain.train import ConfusionMatrix, Logs, plots

pytest.importorskip("matplotlib")
Image = pytest.importorskip("PIL.Image")


@pytest.fixture
def runs(tmp_path):
    for name, scale in (("a", 1.0), ("b", 2.0)):
        with Logs(tmp_path / name) as logs:
            for step in range(1, 9):
                loss = math.nan if step == 3 else scale / step
                logs.log(step * 10, loss=loss, accuracy=1 - 1 / step, lr=0.1, note="x")
                logs.log(step * 10, val_loss=scale * abs(step - 5))
    return [tmp_path / "a", tmp_path / "b"]


@pytest.fixture
def drawn(monkeypatch):
    """The figures that are saved."""
    figures, save = [], plots._save
    monkeypatch.setattr(
        plots, "_save", lambda figure, path: (figures.append(figure), save(figure, path))
    )
    return figures


def test_each_figure_has_a_diagram_with_validation_and_the_best_point(runs, drawn, tmp_path):
    names = plots.plot_runs(runs[:1], tmp_path / "c.png")
    assert names == ["loss", "val_loss", "accuracy", "lr"]
    axes = [ax for ax in drawn[0].axes if ax.lines]
    assert [ax.get_ylabel() for ax in axes] == ["loss", "accuracy", "lr"]
    assert all(ax.get_xlabel() == "step" for ax in axes)
    labels = [text.get_text() for text in axes[0].get_legend().get_texts()]
    assert labels == ["training, best 0.125 at 80", "validation, best 0 at 50"]
    best, curve = axes[0].lines[:2]
    assert (best.get_xdata()[0], best.get_ydata()[0]) == (80, 0.125)
    assert list(curve.get_xdata()) == [10, 20, 40, 50, 60, 70, 80]  # NaN is no point
    assert axes[2].get_legend() is None
    with Image.open(tmp_path / "c.png") as picture:
        assert picture.width == 800


def test_runs_are_drawn_together_smoothed_in_colours_of_their_own(runs, drawn, tmp_path):
    plots.plot_runs(runs, tmp_path / "c.svg", smooth=0.5, names=["accuracy"])
    (ax,) = drawn[0].axes
    labels = [text.get_text() for text in ax.get_legend().get_texts()]
    assert [label.split()[0] for label in labels] == ["a", "b"]
    assert {line.get_color() for line in ax.lines} == set(plots.COLORS[:2])
    raw, curve = ax.lines[0].get_ydata(), ax.lines[2].get_ydata()
    assert curve[1] == pytest.approx((raw[0] * 0.5 + raw[1]) / 1.5)
    assert (tmp_path / "c.svg").read_text().startswith("<?xml")


def test_the_command_draws_html_and_says_what_is_wrong(runs, tmp_path):
    run, page = CliRunner().invoke, tmp_path / "page.html"
    done = run(app, ["plot", *map(str, runs), "-o", str(page), "--figures", "loss, val_loss"])
    assert done.exit_code == 0
    assert "loss, val_loss of 2 runs" in done.output.replace("\n", " ")
    assert "data:image/svg+xml;base64," in page.read_text()
    for arguments, message in (
        ([tmp_path / "none"], "has no log.jsonl"), ([runs[0], "-o", "a.gif"], "expected a .png"),
        ([runs[0], "--smooth", "1"], "from 0 to below 1, got 1.0"),
        ([runs[0], "--figures", "los"], "no figure los in the logs, which have loss, "),
    ):  # fmt: skip
        failed = run(app, ["plot", *map(str, arguments)])
        assert failed.exit_code == 2
        assert message in failed.output
    with pytest.raises(DataError):
        plots.plot_runs([tmp_path], tmp_path / "a.png")


def test_a_confusion_matrix_is_drawn_of_all_ranks_samples(drawn, tmp_path):
    def body():
        matrix = ConfusionMatrix(3)
        matrix.update(dtrain.tensor([0, 1, 2]), dtrain.tensor([0, 1, distributed.rank()]))
        matrix.plot(tmp_path / "m.png", ["ant", "bee", "cow"])

    distributed.run_ranks(2, body)
    (figure,) = drawn
    ax = figure.axes[0]
    assert [text.get_text() for text in ax.texts] == list("201021000")
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("predicted class", "true class")
    assert [t.get_text() for t in ax.get_yticklabels()] == ["ant", "bee", "cow"]
    np.testing.assert_allclose(ax.images[0].get_array()[0], [2 / 3, 0, 1 / 3])
    with pytest.raises(ValueError, match="expected 3 names, one a class, got 2"):
        ConfusionMatrix(3).plot(tmp_path / "x.png", ["a", "b"])


def test_without_matplotlib_the_extra_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    with pytest.raises(ModuleNotFoundError, match=r"pip install 'dtrain\[plots\]'"):
        plots.load_matplotlib()
