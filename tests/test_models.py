"""Models have the parameters of torchvision's and Hugging Face's, and take their files."""

import hashlib

import numpy as np
import pytest

import dtrain
from dtrain import models, nn
from dtrain.errors import CheckpointError

#: Of torchvision 0.29's models: how many tensors and numbers, and the sha256 of names and shapes.
TORCHVISION = {
    "alexnet": (16, 61_100_840, "9c198ebdae1863e4"),
    "vgg11": (22, 132_863_336, "cb3dc23f2a13e182"),
    "vgg11_bn": (62, 132_868_840, "8b6717e727c0ecf9"),
    "vgg13": (26, 133_047_848, "67c1dc8b57fde74b"),
    "vgg13_bn": (76, 133_053_736, "f6b0597d18a7e4d2"),
    "vgg16": (32, 138_357_544, "35c4623e0cd4a39d"),
    "vgg16_bn": (97, 138_365_992, "347371586a8ea365"),
    "vgg19": (38, 143_667_240, "4723255af8f6c485"),
    "vgg19_bn": (118, 143_678_248, "fc3ff6fab2b5cc09"),
    "resnet18": (122, 11_689_512, "84fb10d9c6905a1c"),
    "resnet34": (218, 21_797_672, "28f9096d51307499"),
    "resnet50": (320, 25_557_032, "d7e4f8bb0a536344"),
    "resnet101": (626, 44_549_160, "02c0f34f4842751f"),
    "resnet152": (932, 60_192_808, "685c66205bc823aa"),
    "resnext50_32x4d": (320, 25_028_904, "e3bad165c034e60f"),
    "resnext101_32x8d": (626, 88_791_336, "da7dd7525807e2ee"),
    "resnext101_64x4d": (626, 83_455_272, "90caac80ae24c51d"),
    "wide_resnet50_2": (320, 68_883_240, "41203d1d536c02ed"),
    "wide_resnet101_2": (626, 126_886_696, "4f088c0a152b8f5c"),
    "mobilenet_v2": (314, 3_504_872, "37bbbce8932fd0c4"),
}


def names_and_shapes(state):
    return "\n".join(f"{name} {tuple(value.shape)}" for name, value in state.items())


@pytest.fixture
def without_initial_values(monkeypatch):
    for init in ("kaiming_normal_", "kaiming_uniform_", "normal_"):  # which takes long, for VGG
        monkeypatch.setattr(nn.init, init, lambda tensor, *_, **__: tensor)


@pytest.mark.parametrize("name", TORCHVISION)
@pytest.mark.usefixtures("without_initial_values")
def test_names_and_shapes_are_those_of_torchvision(name):
    state = getattr(models, name)().state_dict()
    size = sum(v.numel() for k, v in state.items() if "running" not in k and "num_b" not in k)
    digest = hashlib.sha256(names_and_shapes(state).encode()).hexdigest()[:16]
    assert (len(state), size, digest) == TORCHVISION[name]


@pytest.mark.usefixtures("without_initial_values")
def test_published_weights_are_found_where_pytorch_puts_them(tmp_path, monkeypatch):
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    folder = tmp_path / "hub" / "checkpoints"
    folder.mkdir(parents=True)
    with pytest.raises(FileNotFoundError, match=r"mobilenet_v2: nothing is downloaded: put \S+/"
                       r"mobilenet_v2-b0353104.pth into \S+/hub/checkpoints, or"):  # fmt: skip
        models.mobilenet_v2(pretrained=True)
    state = models.mobilenet_v2(pretrained=False, progress=True).state_dict()
    for number, name in enumerate(("b0353104", "7ebf99e0"), 1):
        state["classifier.1.bias"].fill_(number)
        dtrain.save(state, folder / f"mobilenet_v2-{name}.pth")
    for options, number in (
        ({"pretrained": True}, 1), ({"weights": "IMAGENET1K_V1"}, 1), ({"weights": True}, 1),
        ({"weights": "DEFAULT"}, 2), ({"weights": "IMAGENET1K_V2"}, 2),
    ):  # fmt: skip
        bias = models.mobilenet_v2(**options).classifier[1].bias
        assert (bias == number).all(), options


def test_published_weights_that_there_are_not_are_refused(monkeypatch):
    with pytest.raises(ValueError, match="resnet18: expected weights 'DEFAULT', 'IMAGENET1K_V1', a "
                       "file or a state dict, got 'IMAGENET1K_V2'"):  # fmt: skip
        models.resnet18(weights="IMAGENET1K_V2")
    with pytest.raises(ValueError, match="alexnet: expected pretrained or weights, got both"):
        models.alexnet(weights="DEFAULT", pretrained=True)
    monkeypatch.setenv("XDG_CACHE_HOME", "/nowhere")
    monkeypatch.delenv("TORCH_HOME", raising=False)
    with pytest.raises(
        FileNotFoundError, match=r"alexnet-owt-7be5be79\.pth into /nowhere/torch/hub"
    ):
        models.alexnet("DEFAULT")


def gpt2_names(layers):
    """What Hugging Face's GPT2Model has."""
    block = [f"{layer}.{kind}" for layer in ("ln_1", "attn.c_attn", "attn.c_proj", "ln_2",
             "mlp.c_fc", "mlp.c_proj") for kind in ("weight", "bias")]  # fmt: skip
    return [
        "wte.weight", "wpe.weight", *(f"h.{i}.{name}" for i in range(layers) for name in block),
        "ln_f.weight", "ln_f.bias",
    ]  # fmt: skip


def bert_names(layers):
    """What Hugging Face's BertModel has."""
    embeddings = ["word_embeddings.weight", "position_embeddings.weight",
                  "token_type_embeddings.weight", "LayerNorm.weight", "LayerNorm.bias"]  # fmt: skip
    block = [f"{layer}.{kind}" for layer in ("attention.self.query", "attention.self.key",
             "attention.self.value", "attention.output.dense", "attention.output.LayerNorm",
             "intermediate.dense", "output.dense", "output.LayerNorm")
             for kind in ("weight", "bias")]  # fmt: skip
    return [
        *(f"embeddings.{name}" for name in embeddings),
        *(f"encoder.layer.{i}.{name}" for i in range(layers) for name in block),
        "pooler.dense.weight", "pooler.dense.bias",
    ]  # fmt: skip


def test_transformers_have_hugging_faces_names_and_shapes():
    gpt = models.GPT2Model(vocab_size=9, n_positions=8, n_embd=12, n_layer=2, n_head=3)
    assert list(gpt.state_dict()) == gpt2_names(2)
    assert gpt.h[0].attn.c_attn.weight.shape == (12, 36)  # inputs first
    bert = models.BertModel(9, 12, 2, 3, 24, 8)
    assert list(bert.state_dict()) == bert_names(2)


def tiny_gpt(**options):
    return models.gpt2(vocab_size=9, n_positions=8, n_embd=12, n_layer=2, n_head=3, **options)


def test_a_transformer_sees_only_what_came_before():
    model = tiny_gpt().eval()
    tokens = dtrain.randint(0, 9, (2, 8))
    changed = tokens.clone()
    changed[:, 5:] = (changed[:, 5:] + 1) % 9
    before, after = model(tokens), model(changed)
    assert dtrain.allclose(before[:, :5], after[:, :5], atol=1e-6)
    assert not dtrain.allclose(before[:, 5:], after[:, 5:], atol=1e-6)


def test_the_head_of_gpt2_is_its_embedding():
    model = tiny_gpt()
    assert model.lm_head.weight is model.transformer.wte.weight
    state = model.transformer.state_dict()  # as files of the plain model have it, with its masks
    state |= {"h.0.attn.bias": dtrain.ones(1, 1, 8, 8), "h.0.attn.masked_bias": dtrain.ones(())}
    state = {name: dtrain.randn(value.shape) for name, value in state.items()}
    loaded = tiny_gpt(weights=state)
    assert loaded.lm_head.weight is loaded.transformer.wte.weight
    assert dtrain.equal(loaded.lm_head.weight, state["wte.weight"])


def test_tokens_that_are_padding_change_nothing():
    model = models.BertModel(9, 12, 2, 3, 24, 8).eval()
    tokens = dtrain.tensor([[1, 2, 3, 0, 0]])
    mask = dtrain.tensor([[1, 1, 1, 0, 0]])
    out = model(tokens, mask)
    alone = model(tokens[:, :3])
    assert dtrain.allclose(out.last_hidden_state[:, :3], alone.last_hidden_state, atol=1e-5)
    assert dtrain.allclose(out.pooler_output, alone.pooler_output, atol=1e-5)


@pytest.mark.parametrize("name", ["resnet18", "mobilenet_v2", "efficientnet_lite0"])
def test_images_go_through_and_train(name):
    dtrain.manual_seed(0)
    model = getattr(models, name)(num_classes=5)
    out = model(dtrain.randn(2, 3, 64, 64))
    assert out.shape == (2, 5)
    out.sum().backward()
    assert all(param.grad is not None for param in model.parameters())


@pytest.mark.parametrize("suffix", [".pth", ".safetensors"])
@pytest.mark.parametrize("wrapped", [False, True])
def test_weights_come_from_files(tmp_path, suffix, wrapped):
    first = models.resnet18(num_classes=3).eval()
    state = {f"module.{name}": value for name, value in first.state_dict().items()}
    dtrain.save({"state_dict": state, "epoch": 3} if wrapped else state, tmp_path / f"w{suffix}")
    second = models.resnet18(weights=tmp_path / f"w{suffix}", num_classes=3).eval()
    x = dtrain.randn(1, 3, 32, 32)
    assert np.array_equal(first(x).detach(), second(x).detach())


def test_what_does_not_fit_changes_nothing(tmp_path):
    model = models.resnet18(num_classes=3)
    before = {name: value.clone() for name, value in model.state_dict().items()}
    state = {name: value + 1 for name, value in before.items()}
    for change, message in (
        ({"fc.bias": dtrain.ones(4)}, "size mismatch for fc.bias"),
        ({"extra": dtrain.ones(1)}, "Unexpected key"),
        ({"fc.weight": None}, "Missing key"),
    ):
        wrong = {k: v for k, v in {**state, **change}.items() if v is not None}
        with pytest.raises(RuntimeError, match=message):
            models.load_weights(model, wrong)
    dtrain.save([1, 2], tmp_path / "list.pth")
    with pytest.raises(CheckpointError, match="expected a state dict, tensors by name, got list"):
        models.load_weights(model, tmp_path / "list.pth")
    with pytest.raises(CheckpointError, match="cannot be read"):
        models.load_weights(model, tmp_path / "missing.pth")
    after = model.state_dict()
    assert all(dtrain.equal(before[name], after[name]) for name in before)


def test_sizes_that_do_not_fit_are_refused():
    with pytest.raises(ValueError, match="n_embd=10 is not divisible by n_head=3"):
        models.GPT2Model(9, 8, 10, 1, 3)
    with pytest.raises(ValueError, match="hidden_size=10 is not divisible"):
        models.BertModel(9, 10, 1, 3)
    with pytest.raises(ValueError, match="9 tokens, but only 8 positions"):
        tiny_gpt()(dtrain.zeros(1, 9, dtype=dtrain.int64))
    with pytest.raises(ValueError, match="use Bottleneck"):
        models.resnet18(groups=2)
