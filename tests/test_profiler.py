"""torch.profiler's names: what is recorded, when, and the table and file of it."""

import json

import pytest

import dtrain
from dtrain.autograd.op import OPS
from dtrain.backend import profiler as spans
from dtrain.profiler import (
    ProfilerAction,
    ProfilerActivity,
    profile,
    record_function,
    schedule,
    supported_activities,
    tensorboard_trace_handler,
)
from dtrain.profiler.operations import find_namespace


def train(prof=None, steps=1):
    layer = dtrain.nn.Linear(2, 1)
    optimizer = dtrain.optim.SGD(layer.parameters(), lr=0.1)
    for _ in range(steps):
        with record_function("forward"):
            loss = layer(dtrain.ones(3, 2)).square().sum()
        loss.backward()
        optimizer.step()
        if prof is not None:
            prof.step()


def test_operations_and_named_spans_are_counted():
    with profile(activities=[ProfilerActivity.CPU], record_shapes=True) as prof:
        train(steps=2)
    found = {event.key: event for event in prof.key_averages()}
    assert found["forward"].count == found["linear"].count == found["sum"].count == 2
    assert found["forward"].cpu_time_total >= found["linear"].cpu_time_total > 0
    assert found["forward"].cpu_time == found["forward"].cpu_time_total / 2
    assert 0 < found["forward"].self_cpu_time_total < found["forward"].cpu_time_total
    assert "backward" in found
    total = prof.key_averages().total_average()
    assert total.self_cpu_time_total == prof.key_averages().self_cpu_time_total


def test_nothing_is_recorded_after_the_end_and_operations_are_as_before():
    before = {name: find_namespace(op)["function"] for name, op in OPS.items()}
    with pytest.raises(KeyError), profile() as prof:
        raise KeyError
    train()
    assert not prof.events()
    assert spans.recorded() is None
    assert {name: find_namespace(op)["function"] for name, op in OPS.items()} == before


def test_two_profilers_may_be_nested():
    with profile() as outer:
        with profile() as inner:
            dtrain.ones(2).exp()
        dtrain.ones(2).log()
    assert [event.key for event in inner.key_averages()] == ["exp"]
    assert [event.key for event in outer.key_averages()] == ["exp", "log"]


def test_gradients_are_the_same_while_a_profiler_records():
    grads = []
    for context in (profile, dtrain.enable_grad):
        x = dtrain.tensor([0.3, 0.7], requires_grad=True)
        with context():
            (x.exp() * x.sin()).sum().backward()
        grads.append(x.grad.tolist())
    assert grads[0] == grads[1]


def test_a_schedule_waits_warms_up_records_and_repeats():
    act = schedule(wait=1, warmup=1, active=2, repeat=2, skip_first=1)
    assert [act(step).value for step in range(10)] == [0, 0, 1, 2, 3, 0, 1, 2, 3, 0]
    assert act(10) is ProfilerAction.NONE
    early = schedule(wait=1, warmup=0, active=1, skip_first_wait=1)
    assert [early(step).value for step in range(4)] == [3, 0, 3, 0]
    with pytest.raises(ValueError, match="active of at least 1, got 0, 0, 0, 0 and 0"):
        schedule(wait=0, warmup=0, active=0)


def test_each_cycle_is_handed_over_by_itself(tmp_path):
    ready = []

    def on_ready(prof):
        ready.append([event.key for event in prof.key_averages()])
        tensorboard_trace_handler(str(tmp_path / "log"), "worker", use_gzip=len(ready) == 2)(prof)

    with profile(schedule=schedule(wait=1, warmup=0, active=2), on_trace_ready=on_ready) as prof:
        train(prof, steps=6)
    steps = [[name for name in names if name.startswith("ProfilerStep")] for names in ready]
    assert steps == [["ProfilerStep#1", "ProfilerStep#2"], ["ProfilerStep#4", "ProfilerStep#5"]]
    files = sorted((tmp_path / "log").iterdir(), key=lambda file: file.name)
    assert [file.name.split(".", 2)[2] for file in files] == ["pt.trace.json", "pt.trace.json.gz"]


def test_a_body_without_a_schedule_is_handed_over_at_its_end():
    ready = []
    with profile(on_trace_ready=ready.append) as prof:
        train()
    assert ready == [prof]


def test_the_table_is_sorted_and_cut():
    with profile() as prof:
        train(steps=3)
    table = prof.key_averages().table(sort_by="cuda_time_total", row_limit=2, header="mine")
    lines = table.splitlines()
    assert lines[0] == "mine"
    assert lines[2].split()[0] == "Name"
    assert len(lines) == 8
    totals = {event.key: event.cpu_time_total for event in prof.key_averages()}
    assert lines[4].split()[0] == max(totals, key=totals.get)
    assert lines[-1].startswith("Self CPU time total: ")
    with pytest.raises(AttributeError, match=r"expected sort_by of cpu_time, .*, got time"):
        prof.key_averages().table(sort_by="time")


def test_the_trace_is_chromes(tmp_path):
    with profile() as prof, record_function("outer"):
        dtrain.ones(2).exp()
    prof.export_chrome_trace(tmp_path / "trace.json")
    events = json.loads((tmp_path / "trace.json").read_text())["traceEvents"]
    outer, inner = events
    assert (outer["name"], inner["name"], inner["ph"]) == ("outer", "exp", "X")
    assert outer["ts"] <= inner["ts"]
    assert inner["ts"] + inner["dur"] <= outer["ts"] + outer["dur"]


def test_a_function_may_be_decorated():
    @record_function("twice")
    def double(x):
        return x * 2

    with profile() as prof:
        double(dtrain.ones(1))
    assert prof.key_averages()[0].key == "twice"
    assert ProfilerActivity.CPU in supported_activities()
