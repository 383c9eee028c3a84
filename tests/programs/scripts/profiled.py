"""Training under the profiler, with a schedule, named spans and a table."""

import numpy as np
import torch
import torch.nn as nn
import torch.profiler
from torch.profiler import ProfilerActivity, profile, record_function, schedule


def fill(model, seed=0):
    """Weights that do not depend on the library."""
    rng = np.random.default_rng(seed)
    with torch.no_grad():
        for p in model.parameters():
            p.copy_(torch.from_numpy(rng.normal(0, 0.2, tuple(p.shape)).astype(np.float32)))
    return model


model = fill(nn.Sequential(nn.Conv2d(1, 4, 3), nn.ReLU(), nn.Flatten(), nn.Linear(144, 3)))
optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
criterion = nn.CrossEntropyLoss()
rng = np.random.default_rng(0)
ready = []


def on_trace_ready(prof):
    names = {event.key for event in prof.key_averages()}
    ready.append({"forward", "backward", "step"} <= names)


with profile(
    activities=[ProfilerActivity.CPU],
    schedule=schedule(wait=1, warmup=1, active=2, repeat=1),
    on_trace_ready=on_trace_ready,
    record_shapes=True,
) as prof:
    for step in range(5):
        x = torch.from_numpy(rng.normal(size=(4, 1, 8, 8)).astype(np.float32))
        target = torch.from_numpy(rng.integers(0, 3, 4))
        with record_function("forward"):
            loss = criterion(model(x), target)
        optimizer.zero_grad()
        with record_function("backward"):
            loss.backward()
        with record_function("step"):
            optimizer.step()
        prof.step()
        print("step {} loss {:.4f}".format(step, loss.item()))
print(ready, "Self CPU" in prof.key_averages().table(sort_by="cpu_time_total", row_limit=5))
