"""What an export gave."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from flyweight.exporting.checking import TOLERANCE, Check


@dataclass(frozen=True)
class Exported:
    """A network that was written and checked.

    Attributes:
        format: "onnx", "openvino" or "torch".
        files: what was written, the file to open first.
        bytes: of all files.
        metadata: what the file says of itself.
        check: how the file, read back, compares with the eager network.
    """

    format: str
    files: tuple[Path, ...]
    bytes: int
    metadata: Mapping[str, Any]
    check: Check

    def to_json(self) -> dict[str, Any]:
        """Everything, as JSON has it, but for the names of the classes: those are in the file."""
        check = self.check
        metadata = {key: value for key, value in self.metadata.items() if key != "class_names"}
        return {
            "format": self.format,
            "files": [str(file) for file in self.files],
            "bytes": self.bytes,
            "dynamic_batch": True,
            "metadata": metadata,
            "check": {
                "tolerance": TOLERANCE,
                "random_error": check.random_error,
                "image_error": check.image_error,
                "images": check.images,
                "same_top1": check.same_top1,
            },
        }

    def __str__(self) -> str:
        about, check = self.metadata, self.check
        lowered = ", lowered" if about["lowered"] else ""
        opset = f", ONNX opset {about['opset']}" if "opset" in about else ""
        channels, height, width = about["input"]["shape"][1:]
        lines = [
            f"wrote {' and '.join(map(str, self.files))} ({self.bytes / 1e6:.1f} MB):"
            f" {about['network']}{lowered}",
            f"any number of images of {channels} x {height} x {width}{opset}",
            "read back and compared with eager, the largest difference relative to the largest"
            f" score: {check.random_error:.1e} on random input",
        ]
        if check.image_error is None:
            return "\n".join(
                [*lines, "only random input was checked: --images PATH checks photographs, too"]
            )
        lines[-1] += f", {check.image_error:.1e} on {check.images} images"
        if check.same_top1 is not None:
            lines.append(f"the same first class in {check.same_top1} of {check.images} images")
        return "\n".join(lines)
