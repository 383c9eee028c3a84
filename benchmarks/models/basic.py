"""Small models: a perceptron, a small ResNet, and deep stacks of small layers."""


def mlp(T):
    """784-512-512-10, a batch of 128."""
    nn = T.nn
    model = nn.Sequential(
        nn.Linear(784, 512), nn.ReLU(), nn.Linear(512, 512), nn.ReLU(), nn.Linear(512, 10)
    )
    return model, T.randn(128, 784), T.randint(0, 10, (128,)), lambda p: T.optim.Adam(p, 1e-3)


def resnet(T):
    """Three stages of two basic blocks, 32, 64 and 128 wide, on 32 images of 3x32x32."""
    nn = T.nn

    def conv(inputs, outputs, kernel, stride=1):
        layer = nn.Conv2d(inputs, outputs, kernel, stride, padding=kernel // 2, bias=False)
        return [layer, nn.BatchNorm2d(outputs)]

    class Block(nn.Module):
        def __init__(self, inputs, outputs, stride):
            super().__init__()
            self.body = nn.Sequential(
                *conv(inputs, outputs, 3, stride), nn.ReLU(), *conv(outputs, outputs, 3)
            )
            same = inputs == outputs
            self.shortcut = nn.Sequential(*([] if same else conv(inputs, outputs, 1, stride)))

        def forward(self, x):
            return nn.functional.relu(self.body(x) + self.shortcut(x))

    class GlobalAverage(nn.Module):
        def forward(self, x):
            return x.mean((2, 3))

    model = nn.Sequential(
        *conv(3, 32, 3), nn.ReLU(),
        Block(32, 32, 1), Block(32, 32, 1),
        Block(32, 64, 2), Block(64, 64, 1),
        Block(64, 128, 2), Block(128, 128, 1),
        GlobalAverage(), nn.Linear(128, 10),
    )  # fmt: skip
    x, y = T.randn(32, 3, 32, 32), T.randint(0, 10, (32,))
    return model, x, y, lambda p: T.optim.SGD(p, 0.05, momentum=0.9)


def tiny(T):
    """64 layers 32 wide, each with a normalization, a batch of 64: 256 small parameters."""
    nn = T.nn
    layers = [nn.Sequential(nn.Linear(32, 32), nn.LayerNorm(32), nn.ReLU()) for _ in range(64)]
    model = nn.Sequential(*layers, nn.Linear(32, 10))
    return model, T.randn(64, 32), T.randint(0, 10, (64,)), lambda p: T.optim.Adam(p, 1e-3)


def deepnarrow(T):
    """40 layers 32 wide, each with a normalization and tanh, a batch of 64."""
    nn = T.nn
    layers = [nn.Sequential(nn.Linear(32, 32), nn.LayerNorm(32), nn.Tanh()) for _ in range(40)]
    model = nn.Sequential(*layers, nn.Linear(32, 10))
    return model, T.randn(64, 32), T.randint(0, 10, (64,)), lambda p: T.optim.Adam(p, 1e-3)
