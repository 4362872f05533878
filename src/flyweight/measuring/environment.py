"""What the machine says about itself."""

import functools
import importlib.metadata
import math
import os
import platform
import re
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import flyweight
from flyweight.records import Environment
from flyweight.records.schema import widest_of

_INSTRUCTION_SETS = (
    "sse4_2", "avx", "avx2", "fma", "f16c", "avx512f", "avx512bw", "avx512vl", "avx512_vnni",
    "avx512_bf16", "avx512_fp16", "avx_vnni", "amx_tile", "amx_int8", "amx_bf16",
    "asimd", "asimdhp", "asimddp", "i8mm", "bf16", "sve", "sve2",
)  # fmt: skip


def environment(runner: Any, load: float | None) -> Environment:
    """The environment of a runner's timing.

    Args:
        runner: anything callable; what it says of itself (`engine`, `device`, `lowered`,
            `threads`, `dtype`, `layout`, `example`, `libraries`) is kept, what it doesn't is None.
        load: the machine's load average before the run.
    """
    example = getattr(runner, "example", None)
    shape = tuple(int(size) for size in example.shape) if example is not None else None
    return Environment(
        cpu=cpu_model(),
        instruction_sets=instruction_sets(),
        gpu=None if getattr(runner, "device", None) == "cpu" else gpu_model(),
        cores=cores(),
        threads=getattr(runner, "threads", None),
        governor=governor(),
        load_average=load,
        memory_bytes=memory_bytes(),
        os=f"{platform.system()} {platform.release()}",
        python=platform.python_version(),
        libraries=_libraries(getattr(runner, "libraries", {})),
        commit=commit(),
        engine=getattr(runner, "engine", None),
        lowered=getattr(runner, "lowered", None),
        dtype=getattr(runner, "dtype", None),
        layout=getattr(runner, "layout", None),
        batch=shape[0] if shape else None,
        input=shape,
    )


def _libraries(of_runner: Mapping[str, str]) -> dict[str, str]:
    return {
        "flyweight": flyweight.__version__,
        "numpy": importlib.metadata.version("numpy"),
        **of_runner,
    }


@functools.cache
def cpu_model() -> str:
    """The processor's name."""
    for line in _lines("/proc/cpuinfo"):
        if line.startswith(("model name", "Model")):
            return line.partition(":")[2].strip()
    if sys.platform == "darwin":
        return _output("sysctl", "-n", "machdep.cpu.brand_string") or platform.machine()
    return platform.processor() or platform.machine()


_USUAL = ("avx2", "asimd")


def machine_name() -> str:
    """The processor and its cores as a folder's name, e.g. "amd-epyc-avx512-2-cores".

    Virtual machines give processors of several generations one name, so other vectors than the
    usual ones are named.
    """
    words = re.findall(r"[a-z0-9]+", re.sub(r"\((r|tm|c)\)", "", cpu_model().lower()))
    widest = widest_of(instruction_sets())
    if widest is not None and widest not in _USUAL:
        words.append(widest)
    return "-".join([*words, str(cores()), "cores"])


@functools.cache
def instruction_sets() -> tuple[str, ...]:
    """The vector and matrix extensions that the processor names; empty where it can't be asked."""
    flags: set[str] = set()
    for line in _lines("/proc/cpuinfo"):
        if line.startswith(("flags", "Features")):
            flags.update(line.partition(":")[2].split())
            break
    return tuple(name for name in _INSTRUCTION_SETS if name in flags)


def gpu_model() -> str | None:
    """The CUDA device in use; None where this process uses none."""
    torch = sys.modules.get("torch")
    if torch is None or not torch.cuda.is_initialized():
        return None
    return str(torch.cuda.get_device_name())


def cores() -> int:
    """Cores that this process may use: its affinity, and its container's quota."""
    try:
        count = len(os.sched_getaffinity(0))
    except AttributeError:  # not on this system
        count = os.cpu_count() or 1
    quota = _lines("/sys/fs/cgroup/cpu.max")
    if quota and not quota[0].startswith("max"):
        allowed, period = quota[0].split()
        count = min(count, math.ceil(int(allowed) / int(period)))
    return max(count, 1)


def governor() -> str | None:
    """The frequency governor of the first core; None where the system doesn't tell."""
    lines = _lines("/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor")
    return lines[0].strip() if lines else None


def load_average() -> float | None:
    """The machine's load over the last minute; None where the system doesn't tell."""
    try:
        return os.getloadavg()[0]
    except (AttributeError, OSError):
        return None


def memory_bytes() -> int:
    """The machine's memory; 0 where the system doesn't tell."""
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, ValueError, OSError):
        return 0


def busy_seconds() -> tuple[float, float] | None:
    """CPU seconds that all processes have used, and that the hypervisor took; None if unknown."""
    lines = _lines("/proc/stat")
    if not lines:
        return None
    user, nice, system, _, _, irq, softirq, steal, *_ = map(int, lines[0].split()[1:])
    tick = os.sysconf("SC_CLK_TCK")
    return (user + nice + system + irq + softirq) / tick, steal / tick


@functools.cache
def commit() -> str | None:
    """The commit of the checkout that this package runs from; None where it was installed."""
    package = Path(flyweight.__file__).parent
    top = _output("git", "-C", str(package), "rev-parse", "--show-toplevel")
    # A virtual environment inside the user's own repository is no checkout of ours.
    if not top or Path(top) / "src" / "flyweight" != package:
        return None
    revision = _output("git", "-C", top, "rev-parse", "HEAD")
    changed = _output("git", "-C", top, "status", "--porcelain", "--", "src")
    return (revision + ("+changes" if changed else "")) if revision else None


def _lines(path: str) -> list[str]:
    try:
        return Path(path).read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return []


def _output(*command: str) -> str:
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=10, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout.strip() if done.returncode == 0 else ""
