"""The formulas of benchmarks/scaling.py on examples that were worked out by hand."""

import json
import subprocess
import sys
from dataclasses import asdict, replace
from pathlib import Path

import pytest

BENCHMARKS = Path(__file__).parent.parent / "benchmarks"


@pytest.fixture(scope="module")
def model():
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(BENCHMARKS)
        import scaling_model

        return scaling_model


@pytest.fixture
def work(model):
    """10 + 20 + 6 ms, and buckets of 1 MB and 2 MB; memory takes no time."""
    return model.Work(10, 20, 6, [1_000_000, 2_000_000], [8, 20], 0, float("inf"))


def cluster(model, ranks, per_node=1, latency_us=0, gbit=8):  # 8 Gbit/s is 1 MB a ms
    return model.Cluster(ranks, per_node, latency_us, gbit)


ALL = pytest.mark.parametrize("exchange", ["flat", "hierarchical", "sharded"])


@ALL
@pytest.mark.parametrize("overlap", [True, False])
def test_one_rank_does_not_communicate(model, work, exchange, overlap):
    alone = cluster(model, 1, latency_us=1000, gbit=0.001)
    assert model.step_ms(replace(work, vote_bytes=99), alone, exchange, overlap) == 36
    assert model.communication_ms(work, alone) == 0


def test_without_overlap_the_times_add_up(model, work):
    two = cluster(model, 2)  # 3 MB: half of it there, half of it back, each way
    assert model.communication_ms(work, two) == 3
    assert model.step_ms(work, two, "hierarchical", overlap=False) == 36 + 3


def test_what_computes_longer_hides_all_but_the_last_bucket(model, work):
    assert model.step_ms(work, cluster(model, 2), "hierarchical") == 36 + 2


def test_what_communicates_longer_hides_the_backward_pass(model, work):
    slow = cluster(model, 2, gbit=0.08)  # 300 ms, from the first full bucket on
    assert model.step_ms(work, slow, "hierarchical") == pytest.approx(10 + 8 + 300 + 6)


def test_messages_take_their_latency(model, work):
    near, far = (cluster(model, 4, latency_us=latency) for latency in (0, 500))
    for overlap, buckets in ((False, 2), (True, 1)):  # in two halves, 3 messages of 0.5 ms each
        steps = [model.step_ms(work, c, "hierarchical", overlap) for c in (near, far)]
        rounds = 2 * 2 * 0.5  # of the agreement
        assert steps[1] - steps[0] == pytest.approx(buckets * 2 * 3 * 0.5 + rounds)


def test_one_rank_a_node_leaves_flat_and_hierarchical_the_same(model, work):
    apart = cluster(model, 8, latency_us=50)
    flat, hierarchical = (model.step_ms(work, apart, e) for e in ("flat", "hierarchical"))
    assert flat == hierarchical


def test_on_shared_links_flat_sends_as_much_for_every_rank(model, work):
    nodes = cluster(model, 8, per_node=4)  # two nodes
    network = {
        exchange: model.reduce_ms(work, nodes, exchange, 1_000_000)[0]
        for exchange in ("flat", "hierarchical")
    }
    assert network == {"flat": 2.0, "hierarchical": 0.5}


def test_sharded_steps_with_a_slice(model, work):
    four = cluster(model, 4)
    saved = model.step_ms(work, four, "hierarchical") - model.step_ms(work, four, "sharded")
    # Of the 2 MB after the backward pass half is left, and 3/4 of 3 MB of parameters come back.
    assert saved == pytest.approx(6 * 3 / 4 + 2 * 3 / 4 - 3 * 3 / 4)
    free = cluster(model, 4, gbit=float("inf"))
    assert model.step_ms(work, free, "sharded") == 30 + 6 / 4


def test_one_node_is_as_fast_as_its_memory(model, work):
    work = replace(work, memory_gb_s=1)  # 1 MB a ms
    pair = cluster(model, 2, per_node=2, latency_us=1000, gbit=0.001)
    touched = (2 + 1) * 3 + 2 * (2 - 1) * 3
    assert model.step_ms(work, pair, "hierarchical", overlap=False) == 36 + touched


def test_every_rank_hears_every_other_at_the_end(model, work):
    step = replace(work, vote_bytes=1000)
    assert model.agreement_ms(step, cluster(model, 1024, per_node=8)) == pytest.approx(1.016)
    assert model.agreement_ms(step, cluster(model, 8, per_node=8)) == 0


@ALL
def test_a_faster_network_never_takes_longer(model, work, exchange):
    for ranks in (2, 8, 64, 16384):
        steps = [
            model.step_ms(work, cluster(model, ranks, 8, 20, gbit), exchange)
            for gbit in (0.1, 1, 10, 100)
        ]
        assert steps == sorted(steps, reverse=True)
        assert min(steps) >= work.forward_ms + work.backward_ms


@ALL
def test_overlap_never_takes_longer(model, work, exchange):
    work = replace(work, memory_gb_s=5)
    for ranks in (2, 8, 64, 16384):
        for gbit in (0.1, 1, 10):
            on, off = (
                model.step_ms(work, cluster(model, ranks, 8, 20, gbit), exchange, overlap)
                for overlap in (True, False)
            )
            assert on <= off + 1e-9


def test_a_shared_core_computes_longer(work):
    assert work.slower(2).compute_ms == 2 * work.compute_ms
    assert work.slower(2).ready_ms == [16, 40]


# --- the command ----------------------------------------------------------------------------------


def command(*args):
    argv = [sys.executable, BENCHMARKS / "scaling.py", *map(str, args)]
    return subprocess.run(argv, capture_output=True, text=True, timeout=300)


@pytest.fixture
def inputs(tmp_path, work):
    path = tmp_path / "inputs.json"
    network = {"latency_us": 20, "bandwidth_gbit": 10}
    given = asdict(replace(work, memory_gb_s=10))
    path.write_text(json.dumps({"model": "gpt", "network": network, "work": given}))
    return path


def rows(output):
    return [line.split() for line in output.splitlines() if line.split()[0].isdigit()]


def test_the_table_is_of_the_given_inputs(inputs, model, work):
    done = command("--inputs", inputs, "--ranks-per-node", 4, "--bandwidth-gbit", 100)
    assert done.returncode == 0, done.stderr
    assert "network: 100 Gbit/s, 20 us; 4 ranks a node" in done.stdout
    table, volumes = rows(done.stdout)[:12], rows(done.stdout)[12:]
    for part in (table, volumes):
        assert [int(row[0]) for row in part] == [2**k for k in range(3, 15)]
    # 64 ranks on 16 nodes, 3 MB: flat, each rank has 60 / 64 of them for others, twice; a node
    # sends 15 / 16 twice, or three times where no node keeps the parameters
    assert volumes[3][1:] == ["22.5", "5.6", "5.6", "8.4"]
    step = replace(work, memory_gb_s=10)
    ms = model.step_ms(step, cluster(model, 64, 4, 20, 100), "sharded")
    assert table[3][5:] == [f"{ms:.1f}", f"{36 / ms:.0%}"]


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (["--ranks-per-node", 6], "--ranks-per-node must be a power of two, got 6"),
        (["--bandwidth-gbit", 0], "--bandwidth-gbit must be > 0, got 0"),
        (["--latency-us", "nan"], "--latency-us must be > 0, got nan"),
        (["--rounds", 0], "--rounds must be >= 1, got 0"),
        (["--inputs", "none.json"], "--inputs: there is no none.json"),
    ],
)
def test_what_cannot_be_calculated_is_refused(args, message):
    done = command(*args)
    assert done.returncode == 2
    assert message in done.stderr
    assert not done.stdout
