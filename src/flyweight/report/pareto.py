"""Which networks nothing else beats in both time and error."""

from collections.abc import Sequence


def pareto_front(points: Sequence[tuple[float, float]]) -> list[int]:
    """Indices of the points that no other is at least as good as in both, and better in one.

    Args:
        points: (time, error) pairs; less is better in both. Equal points stay or go together.

    Returns:
        Indices in order of rising time, so of falling error.
    """
    front: list[int] = []
    for index in sorted(range(len(points)), key=points.__getitem__):
        best = points[front[-1]] if front else None
        if best is None or points[index][1] < best[1] or points[index] == best:
            front.append(index)
    return front
