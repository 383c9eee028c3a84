"""Models in ONNX Runtime: other batches and lengths than they were exported with."""

import pytest

import dtrain
from dtrain import models, nn
from tests.onnx.runtime import check

pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")

R = dtrain.randn


def images(count):
    return [R(count, 3, 32, 32)]


def tokens(n, t):
    return [dtrain.randint(0, 20, (n, t))]


IMAGE_MODELS = ["resnet18", "mobilenet_v2", "efficientnet_lite0"]


@pytest.mark.parametrize("name", IMAGE_MODELS)
def test_a_model_of_images_takes_batches_of_any_size(name):
    model = getattr(models, name)(num_classes=5)
    check(model, images(2), images(1), images(3), dynamic_axes={"x": {0: "batch"}})


def test_transformers_take_batches_and_texts_of_any_size():
    gpt = models.gpt2(vocab_size=20, n_positions=16, n_embd=8, n_layer=2, n_head=2)
    axes = {"input_ids": {0: "batch", 1: "time"}}
    check(gpt, tokens(2, 5), tokens(1, 1), tokens(3, 16), dynamic_axes=axes)
    encoder = nn.TransformerEncoder(nn.TransformerEncoderLayer(8, 2, 16, batch_first=True), 2)
    axes = {"src": {0: "batch", 1: "time"}}
    check(encoder, [R(2, 5, 8)], [R(1, 1, 8)], [R(3, 9, 8)], dynamic_axes=axes)
    axes = {"src": {0: "s", 1: "batch"}, "tgt": {0: "t", 1: "batch"}}
    transformer = nn.Transformer(8, 2, 1, 1, 16)
    check(transformer, [R(5, 2, 8), R(4, 2, 8)], [R(3, 7, 8), R(6, 7, 8)], dynamic_axes=axes)


def test_bert():
    bert = models.bert(
        vocab_size=20, hidden_size=8, num_hidden_layers=2, num_attention_heads=2,
        intermediate_size=16, max_position_embeddings=16,
    )  # fmt: skip
    check(bert, tokens(2, 5), tokens(3, 5), dynamic_axes={"input_ids": [0]})


@pytest.mark.parametrize("kind", [nn.LSTM, nn.GRU, nn.RNN])
def test_recurrent_layers_take_sequences_of_any_length(kind):
    layer = kind(3, 4, 2, bidirectional=True, batch_first=True)
    axes = {"input": {0: "batch", 1: "time"}}
    check(layer, [R(2, 5, 3)], [R(3, 7, 3)], [R(1, 1, 3)], dynamic_axes=axes)


class UNet(nn.Module):
    def __init__(self):
        super().__init__()
        self.down = nn.Sequential(nn.Conv2d(1, 8, 3, padding=1), nn.GroupNorm(2, 8), nn.SiLU())
        self.middle = nn.Sequential(nn.MaxPool2d(2), nn.Conv2d(8, 8, 3, padding=1), nn.GELU())
        self.up = nn.ConvTranspose2d(8, 8, 2, stride=2)
        self.out = nn.Conv2d(16, 1, 1)

    def forward(self, x):
        skip = self.down(x)
        return self.out(dtrain.cat([skip, self.up(self.middle(skip))], 1))


def test_a_unet_takes_images_of_any_even_size():
    axes = {"x": {0: "batch", 2: "height", 3: "width"}}
    check(UNet(), [R(2, 1, 8, 8)], [R(1, 1, 12, 6)], dynamic_axes=axes)


def test_a_compiled_module_is_exported_as_the_module():
    compiled = dtrain.compile(nn.Sequential(nn.Linear(3, 2)).eval())
    for _ in range(3):
        compiled(R(2, 3))
    check(compiled, [R(2, 3)], [R(5, 3)], dynamic_axes={"input": {0: "batch"}})
