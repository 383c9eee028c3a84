"""Transformers: of text in both directions and in one, and of images."""


def gpt(T):
    """Four blocks, 256 wide, 8 heads, on 8 sequences of 128 out of 65 characters."""
    return _gpt(T, 256, 8, 128)


def gpt32(T):
    """Four blocks, 32 wide, 2 heads, on 8 sequences of 16 out of 65 characters."""
    return _gpt(T, 32, 2, 16)


def gpt2(T, small=False):
    """GPT-2 of 124 million parameters, on 8 sequences of 1,024 tokens; `small`: as deep, but 32
    wide."""
    sizes = (32, 2, 16, 12, 65) if small else (768, 12, 1024, 12, 50257)
    return _gpt(T, *sizes)


def _gpt(T, width, heads, length, blocks=4, vocabulary=65):
    """Pre-norm blocks on 8 sequences of characters."""
    nn = T.nn

    class Attention(nn.Module):
        def __init__(self):
            super().__init__()
            self.qkv, self.out = nn.Linear(width, 3 * width), nn.Linear(width, width)

        def forward(self, x):
            batch = x.shape[0]
            q, k, v = (
                part.reshape(batch, length, heads, width // heads).transpose(1, 2)
                for part in self.qkv(x).chunk(3, -1)
            )
            y = nn.functional.scaled_dot_product_attention(q, k, v, is_causal=True)
            return self.out(y.transpose(1, 2).reshape(batch, length, width))

    class Block(nn.Module):
        def __init__(self):
            super().__init__()
            self.attention = nn.Sequential(nn.LayerNorm(width), Attention())
            self.mlp = nn.Sequential(
                nn.LayerNorm(width),
                nn.Linear(width, 4 * width),
                nn.GELU(),
                nn.Linear(4 * width, width),
            )

        def forward(self, x):
            x = x + self.attention(x)
            return x + self.mlp(x)

    class GPT(nn.Module):
        def __init__(self):
            super().__init__()
            self.token = nn.Embedding(vocabulary, width)
            self.place = nn.Embedding(length, width)
            self.blocks = nn.Sequential(*(Block() for _ in range(blocks)))
            self.head = nn.Sequential(nn.LayerNorm(width), nn.Linear(width, vocabulary))

        def forward(self, tokens):
            x = self.token(tokens) + self.place(T.arange(length, device=tokens.device))
            return self.head(self.blocks(x)).reshape(-1, vocabulary)

    x = T.randint(0, vocabulary, (8, length))
    return GPT(), x, x.reshape(-1), lambda p: T.optim.AdamW(p, 3e-4)


def llama(T):
    """Four blocks, 256 wide, as LLaMA's: RMS norms, rotary positions, gated layers, and two heads
    of queries for one of keys; on 8 sequences of 128 out of 512 words."""
    nn = T.nn
    width, heads, groups, length, vocabulary = 256, 8, 4, 128, 512
    size = width // heads
    angles = T.arange(length).reshape(-1, 1) * 10000.0 ** (-T.arange(0, size, 2) / size)
    cos, sin = T.cos(angles), T.sin(angles)

    def rotate(x):
        first, second = x.chunk(2, -1)
        return T.cat([first * cos - second * sin, first * sin + second * cos], -1)

    class Attention(nn.Module):
        def __init__(self):
            super().__init__()
            self.query = nn.Linear(width, width, bias=False)
            self.key_value = nn.Linear(width, 2 * groups * size, bias=False)
            self.out = nn.Linear(width, width, bias=False)

        def forward(self, x):
            n = x.shape[0]
            q = self.query(x).reshape(n, length, heads, size).transpose(1, 2)
            k, v = (
                part.reshape(n, length, groups, size).transpose(1, 2)
                for part in self.key_value(x).chunk(2, -1)
            )
            k, v = (y.repeat_interleave(heads // groups, 1) for y in (rotate(k), v))
            y = nn.functional.scaled_dot_product_attention(rotate(q), k, v, is_causal=True)
            return self.out(y.transpose(1, 2).reshape(n, length, width))

    class Gated(nn.Module):
        def __init__(self):
            super().__init__()
            self.up = nn.Linear(width, 2 * 688, bias=False)
            self.down = nn.Linear(688, width, bias=False)

        def forward(self, x):
            gate, value = self.up(x).chunk(2, -1)
            return self.down(nn.functional.silu(gate) * value)

    class Block(nn.Module):
        def __init__(self):
            super().__init__()
            self.attention = nn.Sequential(nn.RMSNorm(width), Attention())
            self.gated = nn.Sequential(nn.RMSNorm(width), Gated())

        def forward(self, x):
            x = x + self.attention(x)
            return x + self.gated(x)

    class LLaMA(nn.Module):
        def __init__(self):
            super().__init__()
            self.embed = nn.Embedding(vocabulary, width)
            self.blocks = nn.Sequential(*[Block() for _ in range(4)])
            self.head = nn.Sequential(nn.RMSNorm(width), nn.Linear(width, vocabulary, bias=False))

        def forward(self, x):
            return self.head(self.blocks(self.embed(x))).reshape(-1, vocabulary)

    x = T.randint(0, vocabulary, (8, length))
    return LLaMA(), x, x.reshape(-1), lambda p: T.optim.AdamW(p, 3e-4)


def _encoder(T, width, heads, layers):
    """Post-norm encoder layers without dropout, (n, length, width)."""
    nn = T.nn
    return nn.Sequential(
        *[
            nn.TransformerEncoderLayer(width, heads, 4 * width, 0.0, "gelu", batch_first=True)
            for _ in range(layers)
        ]
    )


def bert(T):
    """Four layers of an encoder, 256 wide, on 8 sequences of 64 out of 1,000 words."""
    nn = T.nn
    width, length, vocabulary = 256, 64, 1000

    class BERT(nn.Module):
        def __init__(self):
            super().__init__()
            self.words, self.places = nn.Embedding(vocabulary, width), nn.Embedding(length, width)
            self.norm, self.encoder = nn.LayerNorm(width), _encoder(T, width, 8, 4)
            self.head = nn.Linear(width, vocabulary)

        def forward(self, x):
            x = self.norm(self.words(x) + self.places(T.arange(length)))
            return self.head(self.encoder(x)).reshape(-1, vocabulary)

    x = T.randint(0, vocabulary, (8, length))
    return BERT(), x, x.reshape(-1), lambda p: T.optim.AdamW(p, 3e-4)


def vit(T):
    """Four layers of an encoder, 192 wide, with dropout, on 16 images of 64x64 in patches of 8."""
    nn = T.nn
    width, patches = 192, 64

    class ViT(nn.Module):
        def __init__(self):
            super().__init__()
            self.patches = nn.Conv2d(3, width, 8, 8)
            self.places = nn.Embedding(patches, width)
            self.dropout = nn.Dropout(0.1)
            self.encoder = _encoder(T, width, 6, 4)
            self.head = nn.Sequential(nn.LayerNorm(width), nn.Linear(width, 100))

        def forward(self, x):
            x = self.patches(x).flatten(2).transpose(1, 2) + self.places(T.arange(patches))
            return self.head(self.encoder(self.dropout(x)).mean(1))

    x, y = T.randn(16, 3, 64, 64), T.randint(0, 100, (16,))
    return ViT(), x, y, lambda p: T.optim.AdamW(p, 1e-3)
