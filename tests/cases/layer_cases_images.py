"""Rows of the table of modules that slide windows over images, pad them, or change their size."""

from tests.cases.layer_case import IMAGE, LINE, VOLUME, Layer, samples_for


def unpooled(nn, pool, x):
    out, places = pool(x)
    unpool = getattr(nn, type(pool).__name__.replace("MaxPool", "MaxUnpool"))(2)
    return unpool(out, places, output_size=x.shape)


WINDOWS = {
    "Conv2d": Layer(lambda nn: nn.Conv2d(4, 6, 3), [IMAGE]),
    "Conv2d options": Layer(
        lambda nn: nn.Conv2d(
            4, 6, (3, 2), stride=(2, 1), padding=(1, 2), dilation=(1, 2), groups=2
        ),
        [IMAGE],
    ),
    "Conv2d same": Layer(lambda nn: nn.Conv2d(4, 2, 3, padding="same", bias=False), [IMAGE]),
    "Conv2d reflect": Layer(
        lambda nn: nn.Conv2d(4, 2, 3, padding=(1, 2), padding_mode="reflect"), [IMAGE]
    ),
    "Conv2d circular": Layer(
        lambda nn: nn.Conv2d(4, 2, (2, 3), padding="same", padding_mode="circular"), [IMAGE]
    ),
    "Conv2d valid": Layer(
        lambda nn: nn.Conv2d(4, 2, 3, padding="valid", padding_mode="replicate"), [IMAGE]
    ),
    "Conv1d": Layer(lambda nn: nn.Conv1d(4, 6, 3, 2, 1, groups=2), [LINE]),
    "Conv1d replicate": Layer(
        lambda nn: nn.Conv1d(4, 2, 3, padding=2, padding_mode="replicate"), [LINE]
    ),
    "Conv3d": Layer(lambda nn: nn.Conv3d(2, 3, (2, 3, 2), (2, 1, 1), (1, 0, 1)), [VOLUME]),
    "ConvTranspose1d": Layer(lambda nn: nn.ConvTranspose1d(4, 3, 3, 2), [LINE]),
    "ConvTranspose2d": Layer(lambda nn: nn.ConvTranspose2d(4, 6, 3), [IMAGE]),
    "ConvTranspose2d options": Layer(
        lambda nn: nn.ConvTranspose2d(
            4, 6, (3, 2), 2, (1, 0), (1, 0), groups=2, bias=False, dilation=(2, 1)
        ),
        [IMAGE],
    ),
    "ConvTranspose3d": Layer(lambda nn: nn.ConvTranspose3d(2, 2, 2, (1, 2, 1)), [VOLUME]),
    "MaxPool2d": Layer(lambda nn: nn.MaxPool2d(2), [IMAGE]),
    "MaxPool2d options": Layer(lambda nn: nn.MaxPool2d((3, 2), stride=2, padding=1), [IMAGE]),
    "AvgPool2d": Layer(lambda nn: nn.AvgPool2d(2), [IMAGE]),
    "AvgPool2d options": Layer(lambda nn: nn.AvgPool2d((3, 2), stride=2, padding=(1, 0)), [IMAGE]),
    "MaxPool2d ceil": Layer(lambda nn: nn.MaxPool2d(2, 2, 1, (1, 2), ceil_mode=True), [IMAGE]),
    "MaxPool1d": Layer(lambda nn: nn.MaxPool1d(3, 2), [LINE]),
    "MaxPool3d": Layer(lambda nn: nn.MaxPool3d((2, 1, 3), 1, (1, 0, 1)), [VOLUME]),
    "AvgPool2d counts": Layer(
        lambda nn: nn.AvgPool2d(3, 2, 1, ceil_mode=True, count_include_pad=False), [IMAGE]
    ),
    "AvgPool2d divisor": Layer(lambda nn: nn.AvgPool2d((2, 3), divisor_override=5), [IMAGE]),
    "AvgPool1d": Layer(lambda nn: nn.AvgPool1d(3, padding=1), [LINE]),
    "AvgPool3d": Layer(lambda nn: nn.AvgPool3d((2, 1, 3), 1, count_include_pad=False), [VOLUME]),
    "LPPool1d": Layer(lambda nn: nn.LPPool1d(2, 3, 2), [LINE]),
    "LPPool2d": Layer(lambda nn: nn.LPPool2d(2, (2, 3), ceil_mode=True), [IMAGE]),
    "LPPool3d": Layer(lambda nn: nn.LPPool3d(2, 2), [VOLUME]),
    "AdaptiveAvgPool1d": Layer(lambda nn: nn.AdaptiveAvgPool1d(3), [LINE]),
    "AdaptiveAvgPool2d": Layer(lambda nn: nn.AdaptiveAvgPool2d((3, None)), [IMAGE]),
    "AdaptiveAvgPool2d of all": Layer(lambda nn: nn.AdaptiveAvgPool2d(1), [IMAGE]),
    "AdaptiveAvgPool3d": Layer(lambda nn: nn.AdaptiveAvgPool3d((3, 2, 3)), [VOLUME]),
    "AdaptiveMaxPool1d": Layer(lambda nn: nn.AdaptiveMaxPool1d(3), [LINE]),
    "AdaptiveMaxPool2d": Layer(lambda nn: nn.AdaptiveMaxPool2d((None, 4)), [IMAGE]),
    "AdaptiveMaxPool3d": Layer(lambda nn: nn.AdaptiveMaxPool3d(2), [VOLUME]),
    "FractionalMaxPool2d": Layer(
        lambda nn: nn.FractionalMaxPool2d(
            2, output_ratio=0.5, _random_samples=samples_for(nn, (2, 4, 2))
        ),
        [IMAGE],
    ),
    "FractionalMaxPool3d": Layer(
        lambda nn: nn.FractionalMaxPool3d(
            (2, 1, 2), output_size=(2, 3, 1), _random_samples=samples_for(nn, (2, 2, 3))
        ),
        [VOLUME],
    ),
    "Upsample": Layer(lambda nn: nn.Upsample(scale_factor=(2, 1.5), mode="bilinear"), [IMAGE]),
    "Upsample to a size": Layer(lambda nn: nn.Upsample((3, 9)), [IMAGE]),
    "UpsamplingNearest2d": Layer(lambda nn: nn.UpsamplingNearest2d(scale_factor=2), [IMAGE]),
    "UpsamplingBilinear2d": Layer(lambda nn: nn.UpsamplingBilinear2d((9, 5)), [IMAGE]),
    "Unfold": Layer(lambda nn: nn.Unfold((2, 3), dilation=(2, 1), padding=1, stride=2), [IMAGE]),
    "Fold": Layer(lambda nn: nn.Fold((4, 5), (2, 2), padding=(1, 0), stride=(2, 1)), [(2, 8, 12)]),
    "PixelShuffle": Layer(lambda nn: nn.PixelShuffle(2), [IMAGE]),
    "PixelUnshuffle": Layer(lambda nn: nn.PixelUnshuffle(2), [(2, 3, 4, 6)]),
    "ChannelShuffle": Layer(lambda nn: nn.ChannelShuffle(2), [IMAGE]),
    "FractionalMaxPool2d drawn": Layer(
        lambda nn: nn.FractionalMaxPool2d((2, 3), output_size=(2, 4)), [IMAGE], drawn=True
    ),
    "MaxUnpool1d": Layer(lambda nn: nn.MaxPool1d(2, return_indices=True), [LINE], unpooled),
    "MaxUnpool2d": Layer(lambda nn: nn.MaxPool2d(2, return_indices=True), [IMAGE], unpooled),
    "MaxUnpool3d": Layer(lambda nn: nn.MaxPool3d(2, return_indices=True), [VOLUME], unpooled),
}
PADDING = {
    "ConstantPad": Layer(lambda nn: nn.ConstantPad2d((1, 2, 0, 3), 0.5), [IMAGE]),
    "ConstantPad of one axis": Layer(lambda nn: nn.ConstantPad1d(2, -1), [LINE]),
    "ConstantPad of three axes": Layer(lambda nn: nn.ConstantPad3d(1, 2.0), [VOLUME]),
    "ZeroPad": Layer(lambda nn: nn.ZeroPad2d((1, -2, 0, 3)), [IMAGE]),
    "ZeroPad of one axis": Layer(lambda nn: nn.ZeroPad1d(2), [LINE]),
    "ZeroPad of three axes": Layer(lambda nn: nn.ZeroPad3d((1, 0, 2, 1, 0, 1)), [VOLUME]),
    "ReflectionPad": Layer(lambda nn: nn.ReflectionPad2d((1, 2, 0, 3)), [IMAGE]),
    "ReflectionPad of one axis": Layer(lambda nn: nn.ReflectionPad1d(2), [LINE]),
    "ReflectionPad of three axes": Layer(lambda nn: nn.ReflectionPad3d(1), [VOLUME]),
    "ReplicationPad": Layer(lambda nn: nn.ReplicationPad2d((1, 2, 0, 3)), [IMAGE]),
    "ReplicationPad of one axis": Layer(lambda nn: nn.ReplicationPad1d(2), [LINE]),
    "ReplicationPad of three axes": Layer(
        lambda nn: nn.ReplicationPad3d((1, 0, 2, 1, 0, 1)), [VOLUME]
    ),
    "CircularPad": Layer(lambda nn: nn.CircularPad2d((1, 2, 0, 3)), [IMAGE]),
    "CircularPad of one axis": Layer(lambda nn: nn.CircularPad1d(2), [LINE]),
    "CircularPad of three axes": Layer(lambda nn: nn.CircularPad3d((1, 0, 2, 1, 0, 1)), [VOLUME]),
}
