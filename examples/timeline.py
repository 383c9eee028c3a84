"""Draws the timeline of `dtrain run --trace`, and says on what each rank spent its time.

dtrain run -n 2 --trace trace.json examples/digits.py --epochs 1
python examples/timeline.py trace.json --steps 2 --out timeline.png    pip install 'dtrain[plots]'
"""

import argparse
import collections
import json

KINDS = ("load", "forward", "backward", "reduce", "optimizer step", "allgather", "other")


def read_spans(path):
    """The spans of a trace as (rank, kind, beginning in ms, duration in ms)."""
    with open(path) as file:
        events = [e for e in json.load(file)["traceEvents"] if e["ph"] == "X"]
    first = min(e["ts"] for e in events)
    return [
        (e["pid"], find_kind(e["name"]), (e["ts"] - first) / 1e3, e["dur"] / 1e3) for e in events
    ]


def find_kind(name):
    return next((kind for kind in KINDS if name.startswith(kind)), "other")


def cut_steps(spans, steps):
    """The spans of the last `steps` steps: up to the last optimizer step of rank 0."""
    ends = sorted(at + ms for rank, kind, at, ms in spans if (rank, kind) == (0, "optimizer step"))
    begin, end = ends[-steps - 1], ends[-1]
    return [(r, kind, at - begin, ms) for r, kind, at, ms in spans if begin <= at <= end]


def print_shares(spans):
    """The time of each kind, by rank; what is nested counts for the inner and the outer span."""
    totals = collections.Counter()
    for rank, kind, _, ms in spans:
        totals[rank, kind] += ms
    ranks = sorted({rank for rank, _ in totals})
    print("ms".ljust(16), *(f"rank {rank}".rjust(8) for rank in ranks))
    for kind in KINDS:
        print(kind.ljust(16), *(f"{totals[rank, kind]:8.1f}" for rank in ranks))


def draw(spans, path):
    import matplotlib

    matplotlib.use("agg")
    from matplotlib import pyplot

    colours = dict(
        zip(KINDS, ("#4c9f70", "#3b6fb6", "#8e5ea2", "#d1495b", "#edae49", "#999999", "#dddddd"))
    )
    figure, axes = pyplot.subplots(figsize=(9, 2.4), layout="constrained")
    for kind in reversed(KINDS):  # "other" lies below
        shown = [(rank, at, ms) for rank, k, at, ms in spans if k == kind]
        rows, starts, widths = zip(*shown) if shown else ((), (), ())
        axes.barh(rows, widths, left=starts, height=0.7, color=colours[kind], label=kind)
    ranks = sorted({rank for rank, *_ in spans})
    axes.set(xlabel="ms", yticks=ranks, yticklabels=[f"rank {rank}" for rank in ranks])
    axes.invert_yaxis()
    handles, labels = axes.get_legend_handles_labels()
    axes.legend(handles[::-1], labels[::-1], ncols=len(KINDS), loc="lower center",
                bbox_to_anchor=(0.5, 1), frameon=False)  # fmt: skip
    figure.savefig(path, dpi=110)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("trace", help="the file of --trace")
    parser.add_argument("--steps", type=int, default=2, help="how many of the last steps")
    parser.add_argument("--out", metavar="PNG", help="a picture of them")
    args = parser.parse_args()
    spans = cut_steps(read_spans(args.trace), args.steps)
    print_shares(spans)
    if args.out:
        draw(spans, args.out)
