"""What an exported file says of itself."""

import dataclasses
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import torch

import flyweight
from flyweight.native.plan import ImageFormat
from flyweight.zoo.preprocessing import Preprocessing


@dataclass(frozen=True)
class Description:
    """What is known of a network before it is written.

    Attributes:
        network: its name in the zoo, its factory, or its class.
        options: further options that it was created with.
        weights: the file's name, checksum and layout, or a sentence where there is none.
        preprocessing: how images become inputs, where that is known.
        class_names: what the outputs stand for, where that is known.
        input_shape: (channels, height, width).
        lowered: whether the written network was lowered.
        commit: of the checkout that this package runs from; None where it was installed.
        image: the format of the images that the file is to take.
        cpu: what source code is to be written for; None where the format isn't source code.
    """

    network: str
    options: Mapping[str, object]
    weights: Mapping[str, str] | str
    preprocessing: Preprocessing | None
    class_names: tuple[str, ...] | None
    input_shape: tuple[int, ...]
    lowered: bool
    commit: str | None
    image: ImageFormat = field(default_factory=ImageFormat)
    cpu: str | None = None

    def _image_shape(self) -> tuple[int, ...]:
        channels, height, width = self.input_shape
        return (channels, height, width) if self.image.planes else (height, width, channels)

    def entries(self, input_name: str, opset: int | None = None) -> dict[str, Any]:
        """The entries of a file's metadata, as JSON has them; what isn't known is left out.

        Args:
            input_name: what the file calls its input.
            opset: version of the ONNX operators that the network is written with.
        """
        known = {
            "network": self.network,
            "options": dict(self.options) or None,
            "weights": self.weights,
            "preprocessing": self.preprocessing and dataclasses.asdict(self.preprocessing),
            "class_names": self.class_names,
            "input": {
                "name": input_name,
                "shape": ["batch", *self._image_shape()],
                "layout": self.image.layout,
                "dtype": self.image.dtype,
            },
            "lowered": self.lowered,
            "opset": opset,
            "flyweight": flyweight.__version__,
            "commit": self.commit,
            "torch": torch.__version__,
            "date": datetime.now(UTC).isoformat(timespec="seconds"),
        }
        there = {key: value for key, value in known.items() if value is not None}
        plain: dict[str, Any] = json.loads(json.dumps(there, default=str))
        return plain


def as_text(entries: Mapping[str, Any]) -> dict[str, str]:
    """The same where only text can be kept: text as it is, everything else as JSON."""
    return {
        key: value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
        for key, value in entries.items()
    }
