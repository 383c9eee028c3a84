"""An LSTM over characters: hidden state carried along, clipping, sampling."""

import string

import numpy as np
import torch
import torch.nn as nn
from torch.autograd import grad_mode  # noqa: F401

text = "the quick brown fox jumps over the lazy dog. " * 4
chars = string.ascii_lowercase + " ."


class CharRNN(nn.Module):
    def __init__(self, size, hidden, layers):
        super().__init__()
        self.hidden, self.layers = hidden, layers
        self.encoder = nn.Embedding(size, hidden)
        self.rnn = nn.LSTM(hidden, hidden, layers, batch_first=True)
        self.decoder = nn.Linear(hidden, size)

    def forward(self, x, state):
        out, state = self.rnn(self.encoder(x), state)
        return self.decoder(out.contiguous().view(out.size(0) * out.size(1), -1)), state

    def init_hidden(self, batch):
        weight = next(self.parameters()).data
        return tuple(weight.new_zeros(self.layers, batch, self.hidden) for _ in range(2))


def fill(model, seed=0):
    """Weights that do not depend on the library."""
    rng = np.random.default_rng(seed)
    with torch.no_grad():
        for p in model.parameters():
            p.copy_(torch.from_numpy(rng.normal(0, 0.2, tuple(p.shape)).astype(np.float32)))
    return model


model = fill(CharRNN(len(chars), 12, 2))
criterion = nn.CrossEntropyLoss()
optimizer = torch.optim.RMSprop(model.parameters(), lr=5e-3)
codes = torch.LongTensor([chars.index(c) for c in text])
batches = codes[:176].view(4, 44)
state = model.init_hidden(4)
for step in range(5):
    x, y = batches[:, step * 8 : step * 8 + 8], batches[:, step * 8 + 1 : step * 8 + 9]
    state = tuple(s.detach() for s in state)
    model.zero_grad()
    output, state = model(x, state)
    loss = criterion(output, y.reshape(-1))
    loss.backward()
    norm = torch.nn.utils.clip_grad_norm_(model.parameters(), 0.25)
    optimizer.step()
    print(f"step {step} loss {loss.item():.5f} norm {float(norm):.5f}")
model.eval()
with torch.no_grad():
    state, x = model.init_hidden(1), torch.tensor([[chars.index("t")]])
    probabilities = []
    for _ in range(5):
        output, state = model(x, state)
        p = torch.softmax(output / 0.8, dim=-1)
        top, index = p.topk(1)
        probabilities.append(round(top.item(), 4))
        x = index.view(1, 1)
print("sampled", probabilities)
