"""NASNet-A: Learning Transferable Architectures for Image Recognition (Zoph et al., 2018)."""

from flyweight.nn import Network
from flyweight.nn.cells import CURRENT, PREVIOUS, Design, cell_network
from flyweight.zoo.published import Published, Variant, table8
from flyweight.zoo.registry import register

PAPER = "NASNet (Zoph, Vasudevan, Shlens, Le; CVPR 2018; arXiv 1707.07012)"

# Figure 4, left: the normal cell. Its previous input is also put out.
NORMAL = Design(
    (
        (("sep5", CURRENT), ("sep3", PREVIOUS)),
        (("sep5", PREVIOUS), ("sep3", PREVIOUS)),
        (("avg3", CURRENT), ("identity", PREVIOUS)),
        (("avg3", PREVIOUS), ("avg3", PREVIOUS)),
        (("sep3", CURRENT), ("identity", CURRENT)),
    ),
    output=(1, 2, 3, 4, 5, 6),
)

# Figure 4, right: the reduction cell. What reads an input has stride 2; states 2 and up are halved.
REDUCTION = Design(
    (
        (("sep5", CURRENT), ("sep7", PREVIOUS)),
        (("max3", CURRENT), ("sep7", PREVIOUS)),
        (("avg3", CURRENT), ("sep5", PREVIOUS)),
        (("identity", 3), ("avg3", 2)),
        (("sep3", 2), ("max3", CURRENT)),
    ),
    output=(3, 4, 5, 6),
)


def _row(name: str, filters: int, repeats: int, *published: Published) -> Variant:
    return Variant(
        f"nasnet_a_{name}",
        {"filters": filters, "repeats": repeats},
        published,
        "Cells of Figure 4 in the order of Figure 2 (ImageNet); 1056 channels before the classifier"
        " are 6 states of 4F, so F = 44. From the authors' code: a stem of 32 channels, two stem"
        " cells of F/4 and F/2, factorised reductions, batch norm's epsilon.",
        "ScheduledDropPath and the auxiliary classifier are left out; both are for training only.",
    )


VARIANTS = (
    _row(
        "4_1056", 44, 4,
        table8(500, 564, 26.0, 130, 4.6),
        Published(
            "MobileNetV2 (arXiv 1801.04381), Table 4", mflops=564, params_m=5.3, top1_error=26.0
        ),
    ),
)  # fmt: skip


@register("NASNet-A", PAPER, VARIANTS)
def nasnet_a(
    num_classes: int = 1000,
    in_channels: int = 3,
    filters: int = 44,
    repeats: int = 4,
    stem: int = 32,
    dropout: float = 0.5,
    norm_eps: float = 1e-3,
) -> Network:
    """NASNet-A (Figures 2 and 4).

    Args:
        num_classes: outputs of the classifier.
        in_channels: channels of the input image.
        filters: F, channels of every state in the first stage; each later stage doubles them.
        repeats: N, normal cells of a stage.
        stem: channels of the first convolution.
        dropout: before the classifier.
        norm_eps: epsilon of batch norm.
    """
    normal = [(NORMAL, 1)] * repeats
    stages = (normal, [(REDUCTION, 2), *normal], [(REDUCTION, 2), *normal])
    return cell_network(
        stages, REDUCTION, filters, stem, num_classes, in_channels, dropout, norm_eps
    )
