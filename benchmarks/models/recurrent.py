"""Sequences: LSTM, GRU, and convolutions along sound."""


def _tagger(T, recurrent):
    """A recurrent network that predicts the next of 128 characters from (64, 16) of them."""
    nn = T.nn

    class Tagger(nn.Module):
        def __init__(self):
            super().__init__()
            self.embed = nn.Embedding(128, 128)
            self.recurrent = recurrent
            self.head = nn.Linear(256, 128)

        def forward(self, x):
            return self.head(self.recurrent(self.embed(x))[0]).reshape(-1, 128)

    x = T.randint(0, 128, (64, 16))
    return Tagger(), x, x.reshape(-1), lambda p: T.optim.Adam(p, 1e-3)


def lstm(T):
    """Two layers of 256, on 16 sequences of 64."""
    return _tagger(T, T.nn.LSTM(128, 256, 2))


def gru(T):
    """One layer of 256, on 16 sequences of 64."""
    return _tagger(T, T.nn.GRU(128, 256))


def audio(T):
    """Four convolutions with pools along 8 sounds of 8,000 samples."""
    nn = T.nn
    layers, inputs = [], 1
    for outputs, kernel, stride in ((32, 15, 4), (64, 3, 1), (128, 3, 1), (128, 3, 1)):
        layers += [
            nn.Conv1d(inputs, outputs, kernel, stride, padding=kernel // 2),
            nn.BatchNorm1d(outputs), nn.ReLU(), nn.MaxPool1d(4),
        ]  # fmt: skip
        inputs = outputs
    model = nn.Sequential(*layers, nn.AdaptiveAvgPool1d(1), nn.Flatten(), nn.Linear(128, 35))
    x, y = T.randn(8, 1, 8000), T.randint(0, 35, (8,))
    return model, x, y, lambda p: T.optim.Adam(p, 1e-3)
