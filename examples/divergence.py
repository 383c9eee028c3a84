"""A program with a mistake: the ranks drift apart, and DTRAIN_DEBUG=detail says where.

dtrain run -n 2 examples/divergence.py                       ends as if nothing were wrong
DTRAIN_DEBUG=detail DTRAIN_DEBUG_EVERY=1 dtrain run -n 2 examples/divergence.py
"""

import dtrain
from dtrain import DataParallel, distributed, nn
from dtrain.data import DataLoader, TensorDataset
from dtrain.nn import functional as F

dtrain.manual_seed(0)
x, y = dtrain.randn(256, 8), dtrain.randint(0, 3, (256,))
loader = DataLoader(TensorDataset(x, y), 8, shuffle=True, microbatches=4)
model = DataParallel(nn.Sequential(nn.Linear(8, 16), nn.ReLU(), nn.Linear(16, 3)))
optimizer = dtrain.optim.SGD(model.parameters(), lr=0.1)

for number, step in enumerate(loader.steps()):
    for inputs, target in step:
        loss = F.cross_entropy(model(inputs), target)
        loss.backward()
    if number == 3 and loss.item() > 0.5:  # the mistake: each rank looks at its own loss
        with dtrain.no_grad():
            model.module[2].bias += 0.01 * distributed.rank()
    optimizer.step()
    optimizer.zero_grad()
if distributed.rank() == 0:
    print(f"done, loss {loss.item():.3f}")
