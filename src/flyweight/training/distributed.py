"""The processes of a run, as `torchrun` starts them; one process is a team of its own."""

import contextlib
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import distributed, nn

from flyweight.errors import UsageError


@dataclass(frozen=True)
class Team:
    """This process among those of a run.

    Attributes:
        rank: from 0, which writes the files and speaks to people.
        world: how many there are.
        device: that this one computes on.
        control: through which the processes exchange a few numbers a step; None where there is one.
    """

    rank: int
    world: int
    device: torch.device
    control: Any = None

    @property
    def first(self) -> bool:
        """Whether this is the process that writes and speaks."""
        return self.rank == 0

    def sums(self, values: Sequence[float]) -> list[float]:
        """Each of the values, summed over all processes."""
        if self.world == 1:
            return list(values)
        total = torch.tensor(values, dtype=torch.float64)
        distributed.all_reduce(total, group=self.control)
        return [float(value) for value in total]

    def agree(self, value: float) -> bool:
        """Whether a value is the same in all processes; all get the same answer."""
        total, squares = self.sums([value, value * value])
        return total * total == self.world * squares

    def average_buffers(self, module: nn.Module) -> None:
        """Give each floating-point buffer its mean over all processes."""
        if self.world > 1:
            for buffer in module.buffers():
                if buffer.is_floating_point():
                    distributed.all_reduce(buffer)
                    buffer /= self.world


def device_named(name: str) -> torch.device:
    """A device by name, or the best there is for "auto".

    Raises:
        UsageError: an unknown one, or one that isn't there.
    """
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    try:
        device = torch.device(name)
        torch.zeros(1, device=device)
    except Exception as error:  # a missing driver raises all kinds
        raise UsageError(f"no device {name!r}: cpu, or cuda where PyTorch finds one") from error
    return device


@contextlib.contextmanager
def joined(device: torch.device) -> Iterator[Team]:
    """This process's place among those that `torchrun` started, if it did.

    Processes with GPUs exchange gradients through NCCL, others through gloo.

    Args:
        device: "cuda" is the GPU of this process's number on its machine.
    """
    world = int(os.environ.get("WORLD_SIZE", "1"))
    if world == 1 and "RANK" not in os.environ:
        yield Team(0, 1, device)
        return
    if device.type == "cuda" and device.index is None:
        device = torch.device("cuda", int(os.environ.get("LOCAL_RANK", "0")))
        torch.cuda.set_device(device)
    distributed.init_process_group("nccl" if device.type == "cuda" else "gloo")
    try:
        control = distributed.new_group(backend="gloo")
        yield Team(distributed.get_rank(), world, device, control)
    finally:
        distributed.destroy_process_group()
