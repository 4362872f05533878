"""From a profile to parts of the time that the network takes without profiling."""

from collections.abc import Sequence

from flyweight.decomposing.profile import Profile
from flyweight.records import Ratio

PICOSECONDS = 10**12


def fitted(profile: Profile, total_s: float, inflation: Ratio) -> tuple[list[int], int, int]:
    """What each operation takes of the total, and what is left, in picoseconds.

    Profiled times are too long for two reasons, which are not treated alike.

    * The machine was faster or slower when the profile was taken. That changes all times in
      proportion: they are multiplied by what makes the profiled calls as long as they would be at
      the total's speed, `inflation` times the total.
    * The profiler's own work. It is the same for every note that it takes, whatever the operation
      takes, so times are not scaled by it: it is spread evenly over the notes. A profiler takes
      its note partly within the time that it reports for an operation, partly behind. Nobody
      reports which part is within, but no operation takes less than nothing: so it is at most the
      shortest operation's time, and that is taken to be it. The rest lies between the operations,
      and drops out.

    Where no inflation was measured (its interval holds 1, or lies below) it counts as 1. Should the
    operations still be longer than the total together, the same is taken off each, down to nothing,
    and nothing is left between them.

    Args:
        profile: of some calls.
        total_s: what a call takes without profiling.
        inflation: the time of a profiled call over one without profiling, in the same rounds.

    Returns:
        For each timing its part, the residual, and their sum, the total. They are whole numbers, so
        the sum is exact.
    """
    longer = inflation.value if inflation.low > 1 else 1.0
    speed = longer * total_s / profile.seconds
    own = (longer - 1) * total_s / max(profile.notes, 1)
    times = [timing.seconds * speed for timing in profile.timings]
    notes = [timing.notes for timing in profile.timings]
    shortest = min((t / n for t, n in zip(times, notes, strict=True) if n), default=0.0)
    within = min(own, shortest)
    parts_s = [t - n * within for t, n in zip(times, notes, strict=True)]
    total = round(total_s * PICOSECONDS)
    parts = [int(part * PICOSECONDS) for part in limited(parts_s, total_s)]
    # Cutting off digits can't make them longer, but adding up floats can.
    residual = total - sum(parts)
    if residual < 0:
        longest = max(range(len(parts)), key=parts.__getitem__)
        parts[longest] += residual
        residual = 0
    return parts, residual, total


def limited(parts: Sequence[float], total: float) -> list[float]:
    """The parts, each less the same amount, down to 0, so that they sum to `total` at most."""
    excess = sum(parts) - total
    if excess <= 0:
        return list(parts)
    off, left = 0.0, len(parts)
    for part in sorted(parts):
        if (part - off) * left >= excess:
            off += excess / left
            break
        excess -= (part - off) * left
        off, left = part, left - 1
    return [max(part - off, 0.0) for part in parts]
