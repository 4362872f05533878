"""A layer as the accelerator sees it: a convolution, or a linear layer as one on a single pixel."""

from dataclasses import dataclass

Pair = tuple[int, int]


@dataclass(frozen=True)
class Layer:
    """A convolution.

    Attributes:
        name: path of the module that called it.
        in_channels: of all groups together.
        out_channels: likewise.
        in_size: height and width of the input, without padding.
        out_size: of the output.
        kernel: height and width.
        stride: likewise.
        padding: rows above the input, and columns to its left.
        dilation: distance of a kernel's rows, and of its columns.
        groups: of channels.
        images: in the batch.
        linear: whether the network calls it a linear layer.
    """

    name: str
    in_channels: int
    out_channels: int
    in_size: Pair
    out_size: Pair
    kernel: Pair = (1, 1)
    stride: Pair = (1, 1)
    padding: Pair = (0, 0)
    dilation: Pair = (1, 1)
    groups: int = 1
    images: int = 1
    linear: bool = False

    @property
    def group_inputs(self) -> int:
        """Channels that one output reads."""
        return self.in_channels // self.groups

    @property
    def group_outputs(self) -> int:
        """Output channels of a group."""
        return self.out_channels // self.groups

    @property
    def taps(self) -> int:
        """Positions of the kernel."""
        return self.kernel[0] * self.kernel[1]

    @property
    def weights(self) -> int:
        """Words; a bias isn't counted."""
        return self.group_inputs * self.out_channels * self.taps

    @property
    def inputs(self) -> int:
        """Words of the input, all images."""
        return self.images * self.in_channels * self.in_size[0] * self.in_size[1]

    @property
    def outputs(self) -> int:
        """Words of the output, all images."""
        return self.images * self.out_channels * self.out_size[0] * self.out_size[1]

    @property
    def madds(self) -> int:
        """Multiply-adds, those by zero weights and by padding too."""
        return self.outputs * self.group_inputs * self.taps

    @property
    def depthwise(self) -> bool:
        """Whether every channel is filtered alone."""
        return self.groups > 1 and self.groups == self.in_channels

    @property
    def kind(self) -> str:
        """For people: "7x7/2", "depthwise 3x3", "1x1, 2 groups", "linear"."""
        if self.linear:
            return "linear"
        text = f"{self.kernel[0]}x{self.kernel[1]}"
        if self.stride != (1, 1):
            text += f"/{max(self.stride)}"
        if self.depthwise:
            return f"depthwise {text}"
        return f"{text}, {self.groups} groups" if self.groups > 1 else text
