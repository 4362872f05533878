"""PNASNet: Progressive Neural Architecture Search (Liu et al., 2018)."""

from flyweight.nn import Network
from flyweight.nn.cells import CURRENT, PREVIOUS, Design, cell_network
from flyweight.zoo.published import Published, Variant, table8
from flyweight.zoo.registry import register

PAPER = "PNASNet (Liu et al.; ECCV 2018; arXiv 1712.00559)"

# Figure 1, left: one cell for both strides; all five sums are put out.
CELL = Design(
    (
        (("sep5", PREVIOUS), ("max3", PREVIOUS)),
        (("sep7", CURRENT), ("max3", CURRENT)),
        (("sep5", CURRENT), ("sep3", CURRENT)),
        (("sep3", 4), ("max3", CURRENT)),
        (("sep3", PREVIOUS), ("identity", CURRENT)),
    ),
    output=(2, 3, 4, 5, 6),
)


def _row(name: str, filters: int, repeats: int, *published: Published) -> Variant:
    return Variant(
        f"pnasnet_5_{name}",
        {"filters": filters, "repeats": repeats},
        published,
        "The cell of Figure 1, three stages of N = 3 cells and F = 54. From the authors' code: a"
        " stem of 32 channels, two stem cells of F/4 and F/2, stride 2 in the first cell of stages"
        " 2 and 3, factorised reductions, batch norm's epsilon.",
        "F/4 = 13.5 is rounded down, as in the authors' code. A factorised reduction to 27 channels"
        " splits into 13 and 14. The auxiliary classifier, for training only, is left out.",
    )


VARIANTS = (_row("mobile", 54, 3, table8(500, 588, 25.8, 115, 4.1)),)


@register("PNASNet-5", PAPER, VARIANTS)
def pnasnet_5(
    num_classes: int = 1000,
    in_channels: int = 3,
    filters: int = 54,
    repeats: int = 3,
    stem: int = 32,
    dropout: float = 0.5,
    norm_eps: float = 1e-3,
) -> Network:
    """PNASNet-5 (Figure 1).

    Args:
        num_classes: outputs of the classifier.
        in_channels: channels of the input image.
        filters: F, channels of every state in the first stage; each later stage doubles them.
        repeats: N, cells of a stage.
        stem: channels of the first convolution.
        dropout: before the classifier.
        norm_eps: epsilon of batch norm.
    """
    same = [(CELL, 1)] * (repeats - 1)
    stages = ([(CELL, 1), *same], [(CELL, 2), *same], [(CELL, 2), *same])
    return cell_network(stages, CELL, filters, stem, num_classes, in_channels, dropout, norm_eps)
