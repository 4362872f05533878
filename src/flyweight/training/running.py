"""A run from its folder on: begin or go on, train, and leave what was reached."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from torch import nn

from flyweight.errors import FlyweightError
from flyweight.training.distributed import Team
from flyweight.training.folder import About, RunFiles, begin, sweep, write_about
from flyweight.training.images import Data
from flyweight.training.loop import Course, Outcome, Progress, learn
from flyweight.training.settings import Settings, Teacher, check
from flyweight.training.steps import learner
from flyweight.zoo.preprocessing import Preprocessing


@dataclass(frozen=True)
class Run:
    """What is to be trained, on what, and how.

    Attributes:
        network: its name in the zoo, or "package.module:factory".
        model: it; changed in place.
        preprocessing: what it expects.
        data: the images.
        settings: the rest.
        start: the weights that it begins with, in words.
        teacher: a network to learn from beside the labels.
        taught_by: the same in words.
    """

    network: str
    model: nn.Module
    preprocessing: Preprocessing
    data: Data
    settings: Settings
    start: str
    teacher: Teacher | None = None
    taught_by: str = ""

    def about(self) -> About:
        """What the run's folder says of it."""
        train, val = self.data.train, self.data.val
        return About(
            self.network, train.classes, self.preprocessing, self.settings.to_json(),
            self.data.said, f"{train.digest()} {val.digest()}", self.start, self.taught_by,
        )  # fmt: skip


def train(
    run: Run,
    folder: Path,
    team: Team,
    workers: int,
    resume: bool = False,
    every_s: float = 600.0,
    show: Callable[[Progress], None] = lambda progress: None,
    note: Callable[[str], None] = lambda text: None,
    watch: Callable[[Mapping[str, float]], None] = lambda row: None,
) -> Outcome:
    """Train a network, or go on with training it, until the end or until told to stop.

    Args:
        run: what is trained.
        folder: where its files are; made where it isn't there.
        team: the processes.
        workers: threads that decode images.
        resume: go on where a run in the folder stopped, if there is one.
        every_s: seconds between checkpoints.
        show: called after every step.
        note: told what there is to say beside the progress.
        watch: called with the history's new row, after every epoch.

    Raises:
        UsageError: impossible settings, or a folder with a run that isn't to be continued.
        FlyweightError: images or checkpoints that can't be read, checkpoints that the processes
            don't share, a loss that isn't finite, or files that can't be written.
    """
    check(run.model, run.settings, team)
    about = run.about()
    state, damaged = begin(folder, about, resume)
    if team.first:
        sweep(folder)
    for sentence in damaged:
        note(f"{sentence}: going on from the checkpoint before")
    learning = learner(run.model, run.settings, team)
    if run.teacher is not None:
        run.teacher.model.eval().requires_grad_(False).to(team.device)
    if state is not None:
        learning.restore(state)
        note(f"going on after step {learning.step} of {run.settings.steps}")
    elif team.first:
        write_about(folder, about)
    if not team.agree(float(learning.step)):  # and from here on the folder is there for all
        raise FlyweightError(
            f"the processes find different checkpoints in {folder}: machines must share it"
        )
    files = RunFiles(folder, about, team.first, every_s, watch)
    course = Course(
        run.data, run.preprocessing, run.settings, team, files, workers, run.teacher, show
    )
    return learn(learning, course)
