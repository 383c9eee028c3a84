"""Convolutional networks: residual, depthwise, and with a decoder."""


def _convolution(nn, inputs, outputs, kernel, stride=1, groups=1):
    """The layers of a convolution without a bias, and a normalization."""
    layer = nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2, groups=groups, bias=False)
    return [layer, nn.BatchNorm2d(outputs)]


def _make_basic_block(nn):
    """The class of ResNet's block of two 3x3 convolutions."""

    class Block(nn.Module):
        def __init__(self, inputs, outputs, stride):
            super().__init__()
            self.body = nn.Sequential(
                *_convolution(nn, inputs, outputs, 3, stride), nn.ReLU(),
                *_convolution(nn, outputs, outputs, 3),
            )  # fmt: skip
            same = inputs == outputs
            self.shortcut = nn.Sequential(
                *([] if same else _convolution(nn, inputs, outputs, 1, stride))
            )

        def forward(self, x):
            return nn.functional.relu(self.body(x) + self.shortcut(x))

    return Block


def resnet(T):
    """Three stages of two basic blocks, 32, 64 and 128 wide, on 32 images of 3x32x32."""
    nn = T.nn
    Block = _make_basic_block(nn)

    class GlobalAverage(nn.Module):
        def forward(self, x):
            return x.mean((2, 3))

    model = nn.Sequential(
        *_convolution(nn, 3, 32, 3), nn.ReLU(),
        Block(32, 32, 1), Block(32, 32, 1),
        Block(32, 64, 2), Block(64, 64, 1),
        Block(64, 128, 2), Block(128, 128, 1),
        GlobalAverage(), nn.Linear(128, 10),
    )  # fmt: skip
    x, y = T.randn(32, 3, 32, 32), T.randint(0, 10, (32,))
    return model, x, y, lambda p: T.optim.SGD(p, 0.05, momentum=0.9)


def resnet18(T):
    """ResNet-18, to 512 channels, on 4 images of 3x112x112."""
    nn = T.nn
    Block = _make_basic_block(nn)
    blocks, inputs = [], 64
    for outputs in (64, 128, 256, 512):
        blocks += [Block(inputs, outputs, 1 if outputs == 64 else 2), Block(outputs, outputs, 1)]
        inputs = outputs
    model = nn.Sequential(
        *_convolution(nn, 3, 64, 7, 2), nn.ReLU(), nn.MaxPool2d(3, 2, 1), *blocks,
        nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(512, 100),
    )  # fmt: skip
    x, y = T.randn(4, 3, 112, 112), T.randint(0, 100, (4,))
    return model, x, y, lambda p: T.optim.SGD(p, 0.05, momentum=0.9)


def resnet50(T, small=False):
    """ResNet-50, on 64 images of 3x224x224; `small`: as deep, 8 channels wide, on 8 of 3x64x64."""
    nn = T.nn
    (width, batch, edge), blocks = (8, 8, 64) if small else (64, 64, 224), []

    class Bottleneck(nn.Module):
        def __init__(self, inputs, wide, stride):
            super().__init__()
            self.body = nn.Sequential(
                *_convolution(nn, inputs, wide, 1), nn.ReLU(),
                *_convolution(nn, wide, wide, 3, stride), nn.ReLU(),
                *_convolution(nn, wide, 4 * wide, 1),
            )  # fmt: skip
            same = inputs == 4 * wide
            self.shortcut = nn.Sequential(
                *([] if same else _convolution(nn, inputs, 4 * wide, 1, stride))
            )

        def forward(self, x):
            return nn.functional.relu(self.body(x) + self.shortcut(x))

    inputs = width
    for stage, count in enumerate((3, 4, 6, 3)):
        for block in range(count):
            blocks.append(Bottleneck(inputs, width << stage, 2 if stage and not block else 1))
            inputs = width << stage + 2
    model = nn.Sequential(
        *_convolution(nn, 3, width, 7, 2), nn.ReLU(), nn.MaxPool2d(3, 2, 1), *blocks,
        nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(inputs, 1000),
    )  # fmt: skip
    x, y = T.randn(batch, 3, edge, edge), T.randint(0, 1000, (batch,))
    return model, x, y, lambda p: T.optim.SGD(p, 0.1 * batch / 256, momentum=0.9)


def mobile(T):
    """Inverted bottlenecks with depthwise 3x3 convolutions, on 16 images of 3x64x64."""
    nn = T.nn

    class Block(nn.Module):
        def __init__(self, inputs, outputs, stride):
            super().__init__()
            wide = 4 * inputs
            self.body = nn.Sequential(
                *_convolution(nn, inputs, wide, 1), nn.ReLU6(),
                *_convolution(nn, wide, wide, 3, stride, wide), nn.ReLU6(),
                *_convolution(nn, wide, outputs, 1),
            )  # fmt: skip
            self.adds = stride == 1 and inputs == outputs

        def forward(self, x):
            return x + self.body(x) if self.adds else self.body(x)

    model = nn.Sequential(
        *_convolution(nn, 3, 16, 3, 2), nn.ReLU6(),
        Block(16, 24, 2), Block(24, 24, 1), Block(24, 32, 2), Block(32, 32, 1),
        nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(32, 10),
    )  # fmt: skip
    x, y = T.randn(16, 3, 64, 64), T.randint(0, 10, (16,))
    return model, x, y, lambda p: T.optim.SGD(p, 0.05, momentum=0.9)


def unet(T):
    """Two scales down and up, group norms and SiLU, on 4 images of 64x64: classes of pixels."""
    nn = T.nn

    def pair(inputs, outputs):
        layers = []
        for first in (inputs, outputs):
            layers += [nn.Conv2d(first, outputs, 3, padding=1), nn.GroupNorm(8, outputs), nn.SiLU()]
        return nn.Sequential(*layers)

    class UNet(nn.Module):
        def __init__(self):
            super().__init__()
            self.down = nn.ModuleList([pair(3, 32), pair(32, 64)])
            self.middle = pair(64, 128)
            self.up = nn.ModuleList(
                [nn.ConvTranspose2d(128, 64, 2, 2), nn.ConvTranspose2d(64, 32, 2, 2)]
            )
            self.join = nn.ModuleList([pair(128, 64), pair(64, 32)])
            self.head = nn.Conv2d(32, 8, 1)

        def forward(self, x):
            kept = []
            for layer in self.down:
                x = layer(x)
                kept.append(x)
                x = nn.functional.max_pool2d(x, 2)
            x = self.middle(x)
            for up, join in zip(self.up, self.join):
                x = join(T.cat([up(x), kept.pop()], 1))
            return self.head(x)

    x, y = T.randn(4, 3, 64, 64), T.randint(0, 8, (4, 64, 64))
    return UNet(), x, y, lambda p: T.optim.AdamW(p, 1e-3)
