"""IGCV3: Interleaved Low-Rank Group Convolutions (Sun et al., 2018)."""

from collections.abc import Sequence

from torch import Tensor, nn

from flyweight.errors import UsageError
from flyweight.nn import ConvNormAct, Network, Stage, channel_shuffle
from flyweight.zoo.published import V2_TABLE_8, Published, Variant, table8
from flyweight.zoo.registry import register

PAPER = "IGCV3 (Sun, Li, Liu, Wang; BMVC 2018; arXiv 1806.00178)"
README = "README of the IGCV3 authors' code"

# By stage: expansion t, output channels c, stride of the first block s; as MobileNetV2 has them.
BLOCKS = (
    ((1, 16, 1),),
    ((6, 24, 2),),
    ((6, 32, 2),),
    ((6, 64, 2), (6, 96, 1)),
    ((6, 160, 2), (6, 320, 1)),
)
DEEPER = (1, 4, 6, 8, 6, 6, 1)
"""How often IGCV3-D repeats each row of them: about twice as often as MobileNetV2."""


class Block(nn.Module):
    """Expand and project with group convolutions, filter depthwise between them.

    Args:
        in_channels: channels read.
        out_channels: channels put out.
        expanded: channels of the depthwise convolution.
        stride: of the depthwise convolution.
        groups: groups of both pointwise convolutions.
        residual: whether the input is added.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        expanded: int,
        stride: int,
        groups: int,
        residual: bool,
    ) -> None:
        super().__init__()
        self.groups = groups
        self.residual = residual
        self.expand = ConvNormAct(in_channels, expanded, groups=groups, activation=None)
        self.depthwise = ConvNormAct(expanded, expanded, 3, stride, expanded, "relu6")
        self.project = ConvNormAct(expanded, out_channels, groups=groups, activation=None)

    def forward(self, x: Tensor) -> Tensor:
        """Map (batch, in, height, width) to (batch, out, height / stride, width / stride)."""
        y: Tensor = self.project(self.depthwise(channel_shuffle(self.expand(x), self.groups)))
        return x + y if self.residual else y


def init_he_in(network: nn.Module) -> None:
    """The start of the authors' code: normal with deviation sqrt(2 / inputs), biases 0."""
    for module in network.modules():
        if isinstance(module, nn.Conv2d | nn.Linear):
            nn.init.kaiming_normal_(module.weight, mode="fan_in", nonlinearity="relu")
            if module.bias is not None:
                nn.init.zeros_(module.bias)


_FROM_CODE = (
    "The authors' code: two groups, one permutation, no activation after the expansion, and"
    " channels that are rounded to even numbers."
)
_TWICE = (
    "The size is read as that code's multiplier. For the first block of a stage it multiplies the"
    " channels to expand by the width twice; so here (`scaled_twice`). It also adds 1 to the last"
    " convolution's channels above 1.0; here not."
)
_LOWER = "The authors' code gives 313 M, as counted."
_PLAIN_0_7 = (
    "Width 0.7 in the authors' code gives 168 M and 0.7 times the parameters of the 1.0 network,"
    " as their README explains such names. igcv3_d_x0_78 is a width that gives 210 M."
)
_HIGHER = "The authors' code gives 621 M; without its second scaling it were 590 M."


def _row(size: str, options: dict[str, object], reading: str, *published: Published) -> Variant:
    return Variant(f"igcv3_d_x{size}", options, published, _FROM_CODE, reading)


VARIANTS = (
    _row(
        "0_7", {"width": 0.7, "scaled_twice": True}, _TWICE,
        table8(140, 210, 31.5, 143, 11.7, note=_PLAIN_0_7),
    ),
    _row(
        "0_78", {"width": 0.78},
        "The width is chosen for the printed cost, which 0.7 doesn't reach; parameters are 0.79 of"
        " the 1.0 network's.",
        Published(V2_TABLE_8, mflops=210, top1_error=31.5),
    ),
    _row(
        "1_0", {"width": 1.0}, "",
        table8(300, 318, 27.8, 102, 6.3, note=_LOWER),
        Published(README, params_m=3.5, top1_error=27.8),
    ),
    _row(
        "1_4", {"width": 1.4, "scaled_twice": True}, _TWICE,
        table8(500, 610, 25.5, 82, 4.5, note=_HIGHER),
    ),
)  # fmt: skip


@register("IGCV3", PAPER, VARIANTS)
def igcv3(
    num_classes: int = 1000,
    in_channels: int = 3,
    width: float = 1.0,
    groups: int = 2,
    repeats: Sequence[int] = DEEPER,
    scaled_twice: bool = False,
    dropout: float = 0.0,
) -> Network:
    """IGCV3-D.

    Args:
        num_classes: outputs of the classifier.
        in_channels: channels of the input image.
        width: the width multiplier; the last convolution widens above 1.0 and stays below.
        groups: groups of the pointwise convolutions; channels are multiples of it.
        repeats: blocks of each row of `BLOCKS`.
        scaled_twice: as the authors' code, multiply by the width once more where the first block
            of a row computes how many channels it expands to.
        dropout: before the classifier (none in the paper).
    """
    if len(repeats) != len(DEEPER):
        raise UsageError(f"repeats must be {len(DEEPER)} numbers, not {len(repeats)}")

    def multiple(count: int) -> int:
        return -(-count // groups) * groups

    def scaled(full_width: int) -> int:
        return multiple(round(full_width * width))

    def expansion_base(channels: int) -> int:
        again = round(channels * width)
        # The code's way to avoid odd numbers; times 6 the result is even all the same.
        return channels + 1 if again % 2 else again

    channels, stride = scaled(32), 2
    parts: list[tuple[Stage, nn.Module]] = [
        (Stage("stem", channels, stride), ConvNormAct(in_channels, channels, 3, 2, 1, "relu6"))
    ]
    base = channels
    counts = iter(repeats)
    for number, rows in enumerate(BLOCKS, start=1):
        blocks: list[nn.Module] = []
        for expansion, full_width, first_stride in rows:
            out = scaled(full_width)
            stride *= first_stride
            for index in range(next(counts)):
                step = first_stride if index == 0 else 1
                expanded = multiple(expansion * (base if index == 0 else channels))
                blocks.append(Block(channels, out, expanded, step, groups, residual=index > 0))
                channels = out
            base = expansion_base(out) if scaled_twice else out
        parts.append((Stage(f"stage{number}", channels, stride), nn.Sequential(*blocks)))
    last = int(1280 * max(1.0, width))
    final = ConvNormAct(channels, last, activation="relu6")
    parts.append((Stage("last", last, stride), final))
    network = Network(parts, num_classes, dropout)
    init_he_in(network)
    return network
