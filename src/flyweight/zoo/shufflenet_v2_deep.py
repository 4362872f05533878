"""ShuffleNet V2's networks for large models (Appendix Table 2): rows of its table.

They differ from the others in depth, stem and widths, and the one of 164 layers has residual units
with squeeze-and-excitation; all of that are options of `flyweight.zoo.shufflenet_v2`.
"""

from flyweight.zoo.published import Published, Variant

LARGE = "ShuffleNet V2 (arXiv 1807.11164), Table 6 and Appendix Table 2"

_50 = {
    "widths": (64, 244, 488, 976, 1952, 2048),
    "repeats": (3, 4, 6, 3),
    "first_stride": 1,
}
# 3 + 3 (10 + 10 + 23 + 10) + 1 + 1 = 164 layers.
_164 = {
    "widths": (64, 340, 680, 1360, 2720, 2048),
    "stem_convs": (64, 128),
    "repeats": (10, 10, 23, 10),
    "first_stride": 1,
    "residual": True,
}

_WIDTHS_READ = (
    "Widths in the table's brackets are read as a unit's output, both halves, which gives the"
    " printed multiply-adds. The first unit of conv2_x has a projection too, with stride 1."
)
_RESIDUAL = (
    " Units with stride 1 put out ReLU(x + F(x)) on the convolutions' half, so F ends without"
    " activation; units with a projection have no residual path, and squeeze-and-excitation"
    " follows their last ReLU."
)
_BRANCH = (
    " Squeeze-and-excitation weights F right before the addition, with half as many hidden values"
    " as a unit has channels, as the caption says."
)
_CONCAT = (
    " Squeeze-and-excitation weights a unit's whole output, with half as many hidden values as"
    " channels: that gives the printed 12.7 G, but isn't right before the addition, as the caption"
    " says. The paper's error stands with shufflenet_v2_164_se."
)
_12_6 = "12.60 G are counted; with the module on the whole output 12.67 G, the printed 12.7 G."


def _row(name: str, settings: dict[str, object], reading: str, published: Published) -> Variant:
    return Variant(
        f"shufflenet_v2_{name}",
        {"form": "paper", "classifier_bias": False, **settings},
        (published,),
        "Appendix Table 2, Figure 3 (c), (d) and, from the authors' code, a projection that keeps"
        " the input's channels and a classifier without bias.",
        _WIDTHS_READ + reading,
    )


VARIANTS = (
    _row("50", _50, "",
         Published(LARGE, mflops=2300, top1_error=22.8, note="Printed as 2.3 G.")),
    _row("164_se", {**_164, "se_on": "branch"}, _BRANCH + _RESIDUAL,
         Published(LARGE, mflops=12700, top1_error=18.56, note=_12_6)),
    _row("164_se_concat", {**_164, "se_on": "concat"}, _CONCAT + _RESIDUAL,
         Published(LARGE, mflops=12700)),
)  # fmt: skip
