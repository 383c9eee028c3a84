"""The models that step.py trains, each written once for a module `T` that is dtrain or torch.

A model is a function of T: it gives (module, input, target, optimizer of the parameters).
"""

from models.basic import deepnarrow, mlp, tiny
from models.recurrent import audio, gru, lstm
from models.transformers import bert, gpt, gpt2, gpt32, llama, vit
from models.vision import mobile, resnet, resnet18, resnet50, unet

MODELS = {
    model.__name__: model
    for model in (
        mlp, resnet, gpt, tiny, lstm, gru, mobile, resnet18, unet, vit, llama, audio, deepnarrow,
        bert, gpt32,
    )
}  # fmt: skip

#: for GPUs; with small=True as many layers, but so small that they can be counted anywhere
LARGE = {model.__name__: model for model in (gpt2, resnet50)}
