from hypothesis import given
from hypothesis import strategies as st

from flyweight.report.pareto import pareto_front

pairs = st.tuples(st.integers(1, 6), st.integers(1, 6))


def beats(a, b):
    return a[0] <= b[0] and a[1] <= b[1] and a != b


@given(st.lists(pairs, max_size=12))
def test_is_what_no_other_point_beats(points):
    front = pareto_front(points)
    unbeaten = {i for i, own in enumerate(points) if not any(beats(p, own) for p in points)}
    assert set(front) == unbeaten
    assert len(front) == len(unbeaten)


@given(st.lists(pairs, max_size=12))
def test_runs_from_fast_to_accurate(points):
    front = [points[index] for index in pareto_front(points)]
    assert front == sorted(front, key=lambda point: (point[0], -point[1]))


def test_of_nothing_is_nothing():
    assert pareto_front([]) == []
