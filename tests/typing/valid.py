"""Valid uses of tensors, models, data and checkpoints: a type checker complains of none."""

import dtrain
from dtrain import nn, optim
from dtrain.data import DataLoader, TensorDataset

x = dtrain.randn(4, 3, requires_grad=True)
n = dtrain.arange(4)
mask = x > 0
others = (x + 1, 1 + x, x - 1, 1 - x, x * 2, 2 * x, x / 2, 2 / x, x**2, 2**x, -x, +x, abs(x))
whole = (n // 2, 7 // n.clamp(1), n % 2, 7 % n.clamp(1), n << 1, n >> 1, n & 1, n | 1, n ^ 1, ~n)
masks = (~mask, mask & mask, mask | mask, mask ^ mask, x == 0, x != 0, x < 1, x <= 1, x >= 1)
product = x @ x.T
n += 1
n -= 1
n *= 2
parts = (x[0], x[1:, None], x[..., 0], x[mask], x[n % 4], x[[0, 1]])
values, indices = x.sort(dim=1)
largest: dtrain.Tensor = x.max()
places: dtrain.Tensor = dtrain.max(x, 1).indices
smaller: dtrain.Tensor = dtrain.min(x, x * 2)
middle: dtrain.Tensor = x.median(dim=0, keepdim=True).values
classes: dtrain.Tensor = n.unique()
counts: tuple[dtrain.Tensor, ...] = dtrain.unique(n, return_counts=True)
spread: dtrain.Tensor = x.var(dim=0, correction=0)
chosen: dtrain.Tensor = dtrain.where(mask, x, 0.0)
rows: tuple[dtrain.Tensor, ...] = mask.nonzero(as_tuple=True)
lengths: dtrain.Tensor = x.norm(p=2, dim=1)
numbers = (x.sum(), x.mean(dim=0), x.std(), x.argmax(dim=-1), x.amax(1, keepdim=True), x.any())
made = (dtrain.zeros(2, 3), dtrain.ones((2, 3)), dtrain.full((2,), 1.0), dtrain.tensor([[1.0]]))
total: float = x.sum().item()
equal: dtrain.Tensor = dtrain.tensor([1.0]) == 2
with dtrain.no_grad():
    x.detach().clone().zero_().fill_(1).add_(1)

model = nn.Sequential(nn.Linear(3, 8), nn.ReLU(), nn.Dropout(0.1), nn.Linear(8, 2))
optimizer = optim.AdamW(model.parameters(), lr=1e-3, weight_decay=0.01)
schedule = optim.lr_scheduler.CosineAnnealingLR(optimizer, T_max=10)
loss_function = nn.CrossEntropyLoss(label_smoothing=0.1)
dataset = TensorDataset(dtrain.randn(8, 3), dtrain.randint(0, 2, (8,)))
for inputs, targets in DataLoader(dataset, batch_size=4, shuffle=True):
    optimizer.zero_grad()
    loss = loss_function(model(inputs), targets)
    loss.backward()
    nn.utils.clip_grad_norm_(model.parameters(), 1.0)
    optimizer.step()
    schedule.step()
dtrain.save({"model": model.state_dict(), "optimizer": optimizer.state_dict()}, "model.pt")
model.load_state_dict(dtrain.load("model.pt")["model"])
