"""Small models: a perceptron, and deep stacks of small layers."""


def mlp(T):
    """784-512-512-10, a batch of 128."""
    nn = T.nn
    model = nn.Sequential(
        nn.Linear(784, 512), nn.ReLU(), nn.Linear(512, 512), nn.ReLU(), nn.Linear(512, 10)
    )
    return model, T.randn(128, 784), T.randint(0, 10, (128,)), lambda p: T.optim.Adam(p, 1e-3)


def _stack(T, depth, activation):
    """`depth` layers 32 wide, each with a normalization, a batch of 64."""
    nn = T.nn
    layers = []
    for _ in range(depth):
        layers.append(nn.Sequential(nn.Linear(32, 32), nn.LayerNorm(32), activation()))
    model = nn.Sequential(*layers, nn.Linear(32, 10))
    return model, T.randn(64, 32), T.randint(0, 10, (64,)), lambda p: T.optim.Adam(p, 1e-3)


def tiny(T):
    """64 layers with ReLU: 258 small parameters."""
    return _stack(T, 64, T.nn.ReLU)


def deepnarrow(T):
    """40 layers with tanh."""
    return _stack(T, 40, T.nn.Tanh)
