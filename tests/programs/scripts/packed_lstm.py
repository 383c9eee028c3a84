"""Series of several lengths, packed for a bidirectional LSTM, with its state detached."""

import numpy as np
import torch
import torch.nn as nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence, pad_sequence
from torch.utils.data import DataLoader, Dataset


class SeriesDataset(Dataset):
    def __init__(self, count):
        rng = np.random.default_rng(6)
        self.series = [
            torch.from_numpy(np.cumsum(rng.normal(0, 0.3, (int(n), 2)), 0).astype(np.float32))
            for n in rng.integers(3, 9, count)
        ]

    def __len__(self):
        return len(self.series)

    def __getitem__(self, idx):
        return self.series[idx][:-1], self.series[idx][-1]


def collate(batch):
    batch.sort(key=lambda pair: len(pair[0]), reverse=True)
    series, targets = zip(*batch)
    lengths = torch.tensor([len(s) for s in series])
    return pad_sequence(series, batch_first=True), lengths, torch.stack(targets)


class Forecaster(nn.Module):
    def __init__(self):
        super().__init__()
        self.lstm = nn.LSTM(2, 6, num_layers=2, batch_first=True, bidirectional=True)
        self.head = nn.Linear(12, 2)

    def forward(self, x, lengths):
        packed = pack_padded_sequence(x, lengths.cpu(), batch_first=True, enforce_sorted=True)
        output, (h_n, _) = self.lstm(packed)
        output, sizes = pad_packed_sequence(output, batch_first=True)
        assert sizes.tolist() == lengths.tolist()
        return self.head(torch.cat((h_n[-2], h_n[-1]), dim=1)), output


def fill(model, seed=0):
    """Weights that do not depend on the library."""
    rng = np.random.default_rng(seed)
    with torch.no_grad():
        for p in model.parameters():
            p.copy_(torch.from_numpy(rng.normal(0, 0.2, tuple(p.shape)).astype(np.float32)))
    return model


model = fill(Forecaster())
criterion = nn.SmoothL1Loss()
optimizer = torch.optim.Adagrad(model.parameters(), lr=0.1)
loader = DataLoader(SeriesDataset(12), batch_size=4, collate_fn=collate)
for epoch in range(3):
    losses = []
    for x, lengths, target in loader:
        optimizer.zero_grad()
        prediction, states = model(x, lengths)
        loss = criterion(prediction, target) + 1e-3 * states.pow(2).mean()
        loss.backward()
        nn.utils.clip_grad_value_(model.parameters(), 0.5)
        optimizer.step()
        losses.append(loss.item())
    print("Epoch [%d/3], Loss: %.5f" % (epoch + 1, np.mean(losses)))
