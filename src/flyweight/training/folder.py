"""The folder that a run leaves: what it is, its weights, its history, its checkpoints."""

import csv
import dataclasses
import json
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from safetensors.torch import save_file
from torch import nn

from flyweight.errors import FlyweightError, UsageError
from flyweight.files import replaced
from flyweight.nn import Network
from flyweight.training.checkpoints import checkpoints, last_checkpoint, write_checkpoint
from flyweight.training.steps import Learner
from flyweight.zoo.condensenet_training import condense, condenses, learned_layers
from flyweight.zoo.preprocessing import Preprocessing
from flyweight.zoo.weights import save_weights

ABOUT = "run.json"
WEIGHTS = "weights.safetensors"
HISTORY = "history.csv"
UNREAD = "unread.csv"
CARD = "README.md"
CURVES = "curves.png"
FORMAT = 1


@dataclass(frozen=True)
class About:
    """What a run is: all that its result depends on, and that must be the same when it goes on.

    Attributes:
        network: a name of the zoo, or "package.module:factory".
        classes: what the outputs stand for.
        preprocessing: what the network expects.
        settings: recipe, steps, batch and the like, as JSON types.
        data: where the images come from, in words.
        images: a checksum of the images' names and labels.
        start: the weights that it began with, in words.
        teacher: the network that it learned from, in words; empty where there was none.
    """

    network: str
    classes: tuple[str, ...]
    preprocessing: Preprocessing
    settings: Mapping[str, Any]
    data: str
    images: str
    start: str
    teacher: str = ""

    def to_json(self) -> dict[str, Any]:
        """As JSON types."""
        plain: dict[str, Any] = json.loads(json.dumps(dataclasses.asdict(self)))
        return plain


def is_run(path: Path) -> bool:
    """Whether a folder is that of a run."""
    return (path / ABOUT).is_file()


def read_about(folder: Path) -> About:
    """What the run of a folder is.

    Raises:
        FlyweightError: no run, or one of another version.
    """
    try:
        content = json.loads((folder / ABOUT).read_text(encoding="utf-8"))
        if content.pop("format") != FORMAT:
            raise ValueError("it is of another version of Flyweight")
        given = content.pop("preprocessing")
        preprocessing = Preprocessing(
            **{**given, "mean": tuple(given["mean"]), "std": tuple(given["std"])}
        )
        classes = tuple(content.pop("classes"))
        return About(classes=classes, preprocessing=preprocessing, **content)
    except OSError as error:
        raise FlyweightError(f"can't read {folder / ABOUT}: {error.strerror}") from None
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise FlyweightError(f"{folder / ABOUT} is not of this version: {error}") from None


def weights_of(folder: Path) -> Path:
    """The weights that a run has reached.

    Raises:
        FlyweightError: it has none yet.
    """
    path = folder / WEIGHTS
    if not path.is_file():
        raise FlyweightError(f"{folder} has no weights yet: they are written after every epoch")
    return path


def begin(folder: Path, about: About, resume: bool) -> tuple[dict[str, Any] | None, list[str]]:
    """Make the folder of a run, or find where it stands.

    Args:
        folder: where to; made where it isn't there.
        about: the run.
        resume: go on with the run that is there, if there is one.

    Returns:
        The state of the last checkpoint, if there is one, and what to say of damaged ones.

    Raises:
        UsageError: a folder with a run that isn't to be continued, or that is another one.
        FlyweightError: it can't be written, or no checkpoint can be read.
    """
    if is_run(folder):
        if not resume:
            raise UsageError(
                f"{folder} holds a run: --resume continues it, or name another folder with --out"
            )
        theirs, ours = read_about(folder).to_json(), about.to_json()
        different = _differences(theirs, ours)
        if different:
            raise UsageError(f"{folder} holds another run, which differs in {different}")
        return last_checkpoint(folder)
    if checkpoints(folder):
        raise UsageError(f"{folder} holds checkpoints, and no {ABOUT}: name another folder")
    return None, []


def sweep(folder: Path) -> None:
    """Take away what a killed process was writing: it has the name of no file yet."""
    for name in (ABOUT, WEIGHTS, HISTORY, CARD, CURVES, "checkpoint-*.ckpt"):
        for path in folder.glob(f".{name}.*"):
            path.unlink(missing_ok=True)


def write_about(folder: Path, about: About) -> None:
    """Write what a run is.

    Raises:
        FlyweightError: it can't be written.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise FlyweightError(f"can't write {folder}: {error.strerror}") from None
    with replaced(folder / ABOUT) as temporary:
        text = json.dumps({"format": FORMAT, **about.to_json()}, indent=2, ensure_ascii=False)
        temporary.write_text(text + "\n", encoding="utf-8")


def _differences(theirs: Mapping[str, Any], ours: Mapping[str, Any], where: str = "") -> str:
    """What differs, each as "key (there, here)"."""
    found = []
    for key in [*ours, *(key for key in theirs if key not in ours)]:
        there, here = theirs.get(key), ours.get(key)
        if isinstance(there, dict) and isinstance(here, dict):
            inner = _differences(there, here, f"{where}{key}.")
            found += [inner] if inner else []
        elif there != here:
            values = f"{there} there, {here} here" if key != "classes" else "others there"
            found.append(f"{where}{key} ({values})")
    return ", ".join(found)


class RunFiles:
    """Writes a run's files as it goes; of several processes only the first writes most of them.

    Args:
        folder: of the run.
        about: the run.
        writes: whether this is the first process.
        every_s: seconds between checkpoints.
        watch: called with the history's new row, after every epoch.
    """

    def __init__(
        self,
        folder: Path,
        about: About,
        writes: bool = True,
        every_s: float = 600.0,
        watch: Callable[[Mapping[str, float]], None] = lambda row: None,
    ) -> None:
        self.folder = folder
        self.about = about
        self.writes = writes
        self.every_s = every_s
        self.watch = watch
        self._written = time.monotonic()
        self._known = {row[0] for row in _rows(folder / UNREAD)}
        # The first process counts those of before for all.
        self._met = len(self._known) if writes else 0

    def checkpoint(self, learning: Learner, now: bool = False) -> None:
        """Write a checkpoint, if the last one is a while ago, or now.

        Raises:
            FlyweightError: it can't be written; the ones before are intact.
        """
        if self.writes and (now or time.monotonic() - self._written >= self.every_s):
            write_checkpoint(self.folder, learning.step, learning.state())
            self._written = time.monotonic()

    def epoch(self, learning: Learner) -> None:
        """Write the history and the weights.

        Raises:
            FlyweightError: they can't be written.
        """
        if self.writes:
            write_history(self.folder / HISTORY, learning.rows)
            write_weights(self.folder / WEIGHTS, learning.final, self.about)
            self.watch(learning.rows[-1])

    def unread(self, images: tuple[tuple[str, str], ...]) -> int:
        """Note images that can't be read in a file; how many this process has met.

        Raises:
            FlyweightError: the file can't be written.
        """
        new = {name: reason for name, reason in images if name not in self._known}
        if new:
            self._known |= set(new)
            self._met += len(new)
            try:
                # Short lines at the end of a file: several processes don't disturb each other.
                with (self.folder / UNREAD).open("a", encoding="utf-8", newline="") as file:
                    csv.writer(file, lineterminator="\n").writerows(new.items())
            except OSError as error:
                raise FlyweightError(
                    f"can't write {self.folder / UNREAD}: {error.strerror}"
                ) from None
        return self._met


def _rows(path: Path) -> list[list[str]]:
    if not path.is_file():
        return []
    with path.open(encoding="utf-8", newline="") as file:
        return [row for row in csv.reader(file) if row]


def write_history(path: Path, rows: list[dict[str, float]]) -> None:
    """Write a table with a row an epoch.

    Raises:
        FlyweightError: it can't be written.
    """
    with replaced(path) as temporary, temporary.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)


def read_history(folder: Path) -> list[dict[str, float]]:
    """The rows of a run's history; none where it has no epoch yet."""
    rows = _rows(folder / HISTORY)
    return [dict(zip(rows[0], map(float, row), strict=True)) for row in rows[1:]]


def write_weights(path: Path, model: nn.Module, about: About) -> None:
    """Write a network's weights; those of the zoo's with form, preprocessing and classes.

    A CondenseNet that has chosen all of its inputs is written in its condensed form.

    Raises:
        FlyweightError: they can't be written.
    """
    if isinstance(model, Network) and model.variant:
        if condenses(model) and all(m.mask.finished for m in learned_layers(model).values()):
            model = condense(model)
        save_weights(model, path, about.preprocessing, about.classes)
        return
    state = {key: value.contiguous().cpu() for key, value in model.state_dict().items()}
    with replaced(path) as temporary:
        save_file(state, temporary)
