"""Pictures of runs by Matplotlib: learning curves, confusion matrices, learning-rate searches."""

from __future__ import annotations

import base64
import io
import math
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from dtrain.backend.optional_packages import import_optional
from dtrain.train.logs import read_log

#: Okabe and Ito's colours, which people with any colour vision tell apart
COLORS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
_STYLE = {
    "font.size": 10, "axes.spines.top": False, "axes.spines.right": False, "axes.grid": True,
    "grid.color": "#dddddd", "grid.linewidth": 0.6, "legend.frameon": False,
    "svg.hashsalt": "dtrain",
}  # fmt: skip
_WIDTH_PX, _DPI = 800, 100
_HIDDEN = ("step", "time", "epoch")


def load_matplotlib() -> Any:
    """The module matplotlib, with matplotlib.figure."""
    import_optional("matplotlib.figure", "matplotlib", "plots", "pictures of runs need")
    return sys.modules["matplotlib"]


@contextmanager
def _drawing(path: Path, height_in: float, **style: Any) -> Iterator[Any]:
    """Context manager: a new figure in this style, which is saved at the end."""
    matplotlib = load_matplotlib()
    with matplotlib.rc_context({**_STYLE, **style}):
        size = (_WIDTH_PX / _DPI, height_in)
        figure = matplotlib.figure.Figure(figsize=size, dpi=_DPI, layout="constrained")
        yield figure
        _save(figure, path)


def plot_runs(
    folders: Sequence[str | Path],
    output: str | Path,
    smooth: float = 0.0,
    names: Sequence[str] | None = None,
) -> list[str]:
    """Draw the learning curves of runs: a diagram for each figure, with its best point marked.

    "val_loss" stands in the diagram of "loss", dashed. Losses, errors and perplexities are best
    where they are lowest; learning rates, gradient norms and speeds have no best point; other
    figures are best where they are highest.

    Parameters
    ----------
    folders : of runs, which `Logs` wrote to
    output : a .png, .svg, .pdf or .html file
    smooth : the weight of the curve so far in an exponential mean, from 0 to below 1
    names : which figures are drawn; all by default

    Returns
    -------
    list of str
        The figures that were drawn.

    Raises
    ------
    DataError
        If a folder has no log.
    ValueError
        If there is nothing to draw, or an option is out of range.
    """
    path = _check_output(output)
    if not 0 <= smooth < 1:
        raise ValueError(f"plot: expected smooth from 0 to below 1, got {smooth}")
    runs = {_name_run(folder, folders): read_log(folder) for folder in folders}
    groups = _group_figures(runs, names)
    columns = 1 if len(groups) == 1 else 2
    rows = -(-len(groups) // columns)
    with _drawing(path, (3.6 if columns == 1 else 2.7) * rows) as figure:
        axes = figure.subplots(rows, columns, squeeze=False).ravel()
        for ax, (name, members) in zip(axes, groups.items()):
            _draw_curves(ax, name, members, runs, smooth)
        for ax in axes[len(groups) :]:
            ax.set_axis_off()
    return [member for members in groups.values() for member in members]


def _name_run(folder: str | Path, folders: Sequence[str | Path]) -> str:
    short = Path(folder).resolve().name
    same = [other for other in folders if Path(other).resolve().name == short]
    return short if len(same) == 1 else str(folder)


def _group_figures(
    runs: dict[str, dict[str, list[Any]]], names: Sequence[str] | None
) -> dict[str, list[str]]:
    """The figures of each diagram: a figure, and that of the validation."""
    found = [
        name
        for name in dict.fromkeys(name for run in runs.values() for name in run)
        if name not in _HIDDEN and any(_points(run, name)[0].size for run in runs.values())
    ]
    unknown = [name for name in names or () if name not in found]
    if unknown or not found:
        raise ValueError(
            f"plot: no figure {', '.join(unknown) or 'at all'} in the logs, which have "
            f"{', '.join(found) or 'no numbers'}"
        )
    groups: dict[str, list[str]] = {}
    for name in names or found:
        groups.setdefault(name.removeprefix("val_"), []).append(name)
    return groups


def _points(run: dict[str, list[Any]], name: str) -> tuple[np.ndarray, np.ndarray]:
    """The steps and the numbers of a figure, where it has one."""
    pairs = [
        (step, float(value))
        for step, value in zip(run["step"], run.get(name, ()))
        if isinstance(value, (int, float)) and math.isfinite(value)
    ]
    steps, values = zip(*pairs) if pairs else ((), ())
    return np.asarray(steps, np.int64), np.asarray(values, np.float64)


def smooth_values(values: np.ndarray, weight: float) -> np.ndarray:
    """The exponential mean of the values so far, without a bias towards the first one.

    >>> smooth_values(np.array([1.0, 3.0]), 0.5).round(4).tolist()
    [1.0, 2.3333]
    """
    total = count = 0.0
    means = []
    for value in values:
        total, count = weight * total + value, weight * count + 1
        means.append(total / count)
    return np.array(means)


def _find_best(name: str, values: np.ndarray) -> int | None:
    """The index of the best value; None for a figure that has no better and worse values."""
    if any(word in name for word in ("loss", "error", "perplexity", "nll")):
        return int(values.argmin())
    if name in ("lr", "grad_norm") or "_per_s" in name or "learning_rate" in name:
        return None
    return int(values.argmax())


def _draw_curves(
    ax: Any, name: str, members: list[str], runs: dict[str, dict[str, list[Any]]], smooth: float
) -> None:
    for number, (run, log) in enumerate(runs.items()):
        for member in members:
            steps, values = _points(log, member)
            if not steps.size:
                continue
            is_val = member.startswith("val_")
            color = COLORS[(number if len(runs) > 1 else is_val) % len(COLORS)]
            style = "--" if is_val and len(runs) > 1 else "-"
            label = " ".join([run] * (len(runs) > 1) + ["validation" if is_val else "training"])
            marker = "." if len(steps) <= 40 else ""
            if smooth:
                ax.plot(steps, values, color=color, alpha=0.25, linewidth=0.8)
            curve = smooth_values(values, smooth)
            best = _find_best(member, values)
            if best is not None:
                ax.plot(steps[best], curve[best], "o", color=color, markerfacecolor="white",
                        markersize=7, zorder=3)  # fmt: skip
                label += f", best {values[best]:.4g} at {steps[best]:,}"
            ax.plot(steps, curve, style, color=color, marker=marker, markersize=4, label=label)
    ax.set_xlabel("step")
    ax.set_ylabel(name)
    ax.set_title(name, loc="left", fontweight="bold")
    if len(ax.lines) and (len(runs) > 1 or len(members) > 1 or _find_best(name, np.ones(1)) == 0):
        ax.legend(fontsize=8)


def draw_confusion_matrix(
    counts: np.ndarray, output: str | Path, names: Sequence[str] | None = None
) -> None:
    """Draw counts of (true class, predicted class), coloured by the part of the true class."""
    path = _check_output(output)
    classes = len(counts)
    labels = [str(n) for n in range(classes)] if names is None else [str(name) for name in names]
    if len(labels) != classes:
        raise ValueError(
            f"ConfusionMatrix.plot: expected {classes} names, one a class, got {len(labels)}"
        )
    parts = counts / np.maximum(counts.sum(1, keepdims=True), 1)
    with _drawing(path, 0.85 * _WIDTH_PX / _DPI, **{"axes.grid": False}) as figure:
        ax = figure.subplots()
        picture = ax.imshow(parts, cmap="cividis", vmin=0, vmax=1)
        size = max(4.0, min(11.0, 130 / classes))
        for row in range(classes if classes <= 30 else 0):
            for column in range(classes):
                ink = "black" if parts[row, column] > 0.55 else "white"
                ax.text(column, row, f"{counts[row, column]:,}", ha="center", va="center",
                        color=ink, fontsize=size)  # fmt: skip
        if classes <= 60:
            turned = 90 if max(map(len, labels)) * classes > 70 else 0
            ax.set_xticks(range(classes), labels, rotation=turned, fontsize=max(5, size))
            ax.set_yticks(range(classes), labels, fontsize=max(5, size))
        ax.set_xlabel("predicted class")
        ax.set_ylabel("true class")
        figure.colorbar(picture, label="part of the true class", shrink=0.8)


def draw_lr_search(
    rates: np.ndarray, losses: np.ndarray, suggestion: float, output: str | Path
) -> None:
    """Draw the losses of a search for the learning rate, with the suggested one marked."""
    with _drawing(_check_output(output), 4.2) as figure:
        ax = figure.subplots()
        ax.plot(rates, losses, color=COLORS[0])
        ax.axvline(suggestion, color=COLORS[1], linestyle="--", label=f"suggested {suggestion:.2g}")
        ax.set_xscale("log")
        ax.set_xlabel("learning rate")
        ax.set_ylabel("loss, smoothed")
        ax.legend()


def _check_output(output: str | Path) -> Path:
    path = Path(output)
    if path.suffix.lower() not in (".png", ".svg", ".pdf", ".html"):
        raise ValueError(f"expected a .png, .svg, .pdf or .html file to draw to, got {output}")
    return path


def _save(figure: Any, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.suffix.lower() != ".html":
        figure.savefig(path)
        return
    picture = io.BytesIO()
    figure.savefig(picture, format="svg")
    encoded = base64.b64encode(picture.getvalue()).decode()
    path.write_text(
        f'<!DOCTYPE html><meta charset="utf-8"><title>{path.stem}</title>\n'
        f'<img alt="{path.stem}" style="max-width: 100%" '
        f'src="data:image/svg+xml;base64,{encoded}">\n'
    )
