"""The models of benchmarks/step.py have the same loss in dtrain and in PyTorch."""

from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch")

import dtrain  # noqa: E402

pytestmark = pytest.mark.oracle

BENCHMARKS = Path(__file__).parent.parent.parent / "benchmarks"


def test_models_of_the_benchmarks_have_the_loss_of_pytorch(monkeypatch):
    monkeypatch.syspath_prepend(BENCHMARKS)
    from models import MODELS

    assert len(MODELS) == 15
    for name, make in MODELS.items():
        torch.manual_seed(0)
        reference, x, y, _ = make(torch)
        model, _, _, make_optimizer = make(dtrain)
        weights = reference.state_dict()
        model.load_state_dict({key: dtrain.from_numpy(w.numpy()) for key, w in weights.items()})
        make_optimizer(model.parameters()).step()  # no gradients: nothing changes
        losses = []
        for t, m, data in ((torch, reference, x), (dtrain, model, dtrain.from_numpy(x.numpy()))):
            m.eval()  # without dropout
            with t.no_grad():
                labels = t.from_numpy(y.numpy())
                losses.append(t.nn.functional.cross_entropy(m(data), labels).item())
        np.testing.assert_allclose(losses[1], losses[0], rtol=1e-4, err_msg=name)
