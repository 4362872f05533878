"""What an export gave."""

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from flyweight.exporting.checking import TOLERANCE, Check


@dataclass(frozen=True)
class Exported:
    """A network that was written and checked.

    Attributes:
        format: "onnx", "openvino", "torch" or "c".
        path: the file to open, or the folder.
        files: what was written, the file to open first.
        bytes: of all files.
        metadata: what the file says of itself.
        check: how the file, read back, compares with the eager network; None where that couldn't
            be found out.
        unchecked: why it couldn't.
    """

    format: str
    path: Path
    files: tuple[Path, ...]
    bytes: int
    metadata: Mapping[str, Any]
    check: Check | None
    unchecked: str | None = None

    def to_json(self) -> dict[str, Any]:
        """Everything, as JSON has it, but for the names of the classes: those are in the file."""
        metadata = {key: value for key, value in self.metadata.items() if key != "class_names"}
        return {
            "format": self.format,
            "files": [str(file) for file in self.files],
            "bytes": self.bytes,
            "dynamic_batch": True,
            "metadata": metadata,
            "check": self.check and {"tolerance": TOLERANCE, **dataclasses.asdict(self.check)},
            "unchecked": self.unchecked,
        }

    def __str__(self) -> str:
        about, check = self.metadata, self.check
        image = about["input"]
        lowered = ", lowered" if about["lowered"] else ""
        opset = f", ONNX opset {about['opset']}" if "opset" in about else ""
        kind = f"{image['dtype']} {image['layout']}"
        usual = "" if kind == "float32 NCHW" else f" ({kind})"
        cpu = f", planned for {about['cpu']['instructions']}" if "cpu" in about else ""
        folder = self.path.is_dir()
        files = (
            f"{self.path}, {len(self.files)} files"
            if folder
            else " and ".join(map(str, self.files))
        )
        lines = [
            f"wrote {files} ({self.bytes / 1e6:.1f} MB): {about['network']}{lowered}{cpu}",
            f"any number of images of {' x '.join(map(str, image['shape'][1:]))}{usual}{opset}",
        ]
        if check is None:
            return "\n".join([*lines, f"NOT CHECKED: {self.unchecked}"])
        lines.append(
            "read back and compared with eager, the largest difference relative to the largest"
            f" score: {check.random_error:.1e} on random input"
        )
        if check.image_error is None:
            return "\n".join(
                [*lines, "only random input was checked: --images PATH checks photographs, too"]
            )
        lines[-1] += f", {check.image_error:.1e} on {check.images} images"
        if check.same_top1 is not None:
            lines.append(f"the same first class in {check.same_top1} of {check.images} images")
        return "\n".join(lines)
