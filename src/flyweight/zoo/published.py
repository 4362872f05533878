"""Rows of the papers' tables: a variant of a family and what has been published about it."""

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Published:
    """What one source prints about one network at one input size; None where it prints nothing."""

    source: str
    """Paper and table."""
    resolution: int = 224
    """Side of the square input, in pixels."""
    mflops: float | None = None
    """Millions of multiply-adds, as the source prints them."""
    params_m: float | None = None
    """Millions of parameters."""
    top1_error: float | None = None
    """ImageNet validation, single centre crop, per cent."""
    top5_error: float | None = None
    """Likewise, within the first five."""
    gpu_batches_per_s: float | None = None
    """GTX 1080 Ti, batches of 8 per second (ShuffleNet V2, Table 8)."""
    arm_images_per_s: float | None = None
    """Snapdragon 810, batch 1, one thread (ShuffleNet V2, Table 8)."""
    level: int | None = None
    """The complexity level in MFLOPs under which ShuffleNet V2's Table 8 groups the network."""
    note: str = ""
    """Why our count differs from the printed one, where it does."""


@dataclass(frozen=True)
class Variant:
    """A network of a family: one row of its paper's table.

    Attributes:
        name: what `create_model` knows it by.
        options: the arguments of the family's function that make this row.
        published: what sources print about it, the most often cited first.
        from_paper: which part is as the paper (or its authors' code) has it, and where.
        our_reading: what the paper leaves open or contradicts, and how it is read here.
    """

    name: str
    options: Mapping[str, object]
    published: tuple[Published, ...] = field(default=())
    from_paper: str = ""
    our_reading: str = ""

    @property
    def resolution(self) -> int:
        """The input size in pixels that the first source used (224 where there is none)."""
        return self.published[0].resolution if self.published else 224


V2_TABLE_8 = "ShuffleNet V2 (arXiv 1807.11164), Table 8"


def table8(
    level: int,
    mflops: float,
    top1_error: float,
    gpu: float | None,
    arm: float | None,
    resolution: int = 224,
    params_m: float | None = None,
    note: str = "",
) -> Published:
    """A row of ShuffleNet V2's Table 8, in the order of its columns."""
    return Published(
        V2_TABLE_8,
        resolution,
        mflops,
        params_m,
        top1_error,
        gpu_batches_per_s=gpu,
        arm_images_per_s=arm,
        level=level,
        note=note,
    )
