"""Images into batches: Flyweight's pipeline beside a plain DataLoader loop with Pillow, by turns.

Photographs of 500 and of 1000 pixels are made from those of a folder, by resizing; each way reads
the same ones, up to what the network reads, in the same number of threads or processes. Writes
results/<machine>/input_pipeline.jsonl, a sample for each reading of all photographs, and
input_pipeline_memory.json. On an idle machine:

    .venv/bin/python benchmarks/input_pipeline.py PHOTOGRAPHS [SECONDS A SIZE]
"""

import json
import sys
import tempfile
from collections.abc import Callable
from contextlib import closing
from itertools import islice
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from resuming import RESULTS
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from flyweight.files import replaced
from flyweight.measuring import measure
from flyweight.measuring.environment import machine_name
from flyweight.records import Record, write_records
from flyweight.training.augment import inputs
from flyweight.training.batches import Showing, pieces, training_batches
from flyweight.training.images import ImageSet
from flyweight.training.looks import Drawn
from flyweight.training.sources import from_folder
from flyweight.zoo.preprocessing import IMAGENET, list_images

SIDES = (500, 1000)
COUNT, BATCH, SIDE, SMALLEST = 64, 16, 224, 0.2
WORKERS = 2
EPOCHS = 5
CPU = torch.device("cpu")


class Plain(Dataset[tuple[Tensor, int]]):
    """One image at a time: decode, crop, resize, flip, to float, normalise."""

    def __init__(self, files: list[Path]) -> None:
        self.files = files
        self.mean = torch.tensor(IMAGENET.mean)[:, None, None]
        self.std = torch.tensor(IMAGENET.std)[:, None, None]

    def __len__(self) -> int:
        return len(self.files)

    def __getitem__(self, number: int) -> tuple[Tensor, int]:
        with Image.open(self.files[number]) as file:
            image = file.convert("RGB")
        look = Drawn(0, 0, number).look(*image.size, SMALLEST, 0.0)
        left, top, right, bottom = look.box
        width, height = image.size
        box = tuple(map(round, (left * width, top * height, right * width, bottom * height)))
        image = image.crop(box).resize((SIDE, SIDE), Image.Resampling.BILINEAR)
        if look.flipped:
            image = image.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
        values = torch.from_numpy(np.array(image)).permute(2, 0, 1).float().div(255)
        return (values - self.mean) / self.std, 0


def plain(files: list[Path]) -> Callable[[], int]:
    """Rounds of a DataLoader whose processes stay."""
    loader = DataLoader(Plain(files), BATCH, num_workers=WORKERS, persistent_workers=True)
    return lambda: sum(len(x) for x, _ in loader)


def ours(images: ImageSet) -> Callable[[], int]:
    """Rounds of our pipeline, up to what the network reads."""
    how = Showing(0, SIDE, SMALLEST, 0.0)

    def once() -> int:
        chosen = islice(pieces(images, 0, 0, BATCH, 1, 0), len(images) // BATCH)
        with closing(training_batches(images, how, chosen, WORKERS)) as batches:
            return sum(len(inputs(batch, IMAGENET, CPU)) for batch in batches)

    return once


def resident_mb() -> float:
    """This process's memory now (Linux)."""
    lines = Path("/proc/self/status").read_text().splitlines()
    (found,) = [line for line in lines if line.startswith("VmRSS")]
    return int(found.split()[1]) / 1024


def photographs(source: Path, side: int, folder: Path) -> Path:
    """Photographs whose longer side has so many pixels, as JPEG."""
    folder.mkdir(parents=True)
    for index, file in enumerate(list_images([source])[:COUNT]):
        with Image.open(file) as image:
            image = image.convert("RGB")
        scale = side / max(image.size)
        size = tuple(round(scale * length) for length in image.size)
        part = folder / f"class{index % 2}"
        part.mkdir(exist_ok=True)
        image.resize(size, Image.Resampling.LANCZOS).save(part / f"{index:03d}.jpg", quality=90)
    return folder


def compared(source: Path, side: int, seconds: float) -> tuple[list[Record], list[float]]:
    """Both ways on photographs of one size, by turns, and our memory after each of five epochs."""
    with tempfile.TemporaryDirectory() as temporary:
        folder = photographs(source, side, Path(temporary) / "photos")
        images = from_folder(folder)
        runners = {
            f"{side} pixels/plain": plain(list_images([folder])),
            f"{side} pixels/flyweight": ours(images),
        }
        assert len({run() for run in runners.values()}) == 1  # they read as many images
        measured = measure(runners, seconds)
        memory = []
        for _ in range(EPOCHS):
            runners[f"{side} pixels/flyweight"]()
            memory.append(resident_mb())
    ratio = measured.ratio(*runners)
    print(f"{side} pixels: {ratio.value:.2f} times the images/s ({ratio.low:.2f}-{ratio.high:.2f})")
    print(f"  MB after each epoch: {', '.join(f'{value:.0f}' for value in memory)}", flush=True)
    return measured.records, memory


def main(source: str, seconds: str = "40") -> int:
    torch.set_num_threads(1)
    folder = RESULTS / machine_name()
    folder.mkdir(parents=True, exist_ok=True)
    records: list[Record] = []
    memory: dict[str, list[float]] = {}
    for side in SIDES:
        found, memory[f"{side} pixels"] = compared(Path(source), side, float(seconds))
        records += found
    write_records(folder / "input_pipeline.jsonl", records)
    with replaced(folder / "input_pipeline_memory.json") as temporary:
        content = {"images": COUNT, "MB after each epoch": memory}
        temporary.write_text(json.dumps(content, indent=1) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
