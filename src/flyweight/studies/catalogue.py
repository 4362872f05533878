"""All studies, by name."""

from flyweight.errors import unknown
from flyweight.studies.guidelines import guidelines
from flyweight.studies.study import Study

STUDIES: dict[str, Study] = {study.name: study for study in guidelines()}


def study_named(name: str, joined: str = "add", middle: int = 4) -> Study:
    """A study, with a reading of what its paper leaves open.

    Args:
        name: e.g. "g1".
        joined: see `guidelines`.
        middle: likewise.

    Raises:
        UsageError: there is none of this name.
    """
    for study in guidelines(joined, middle):
        if study.name == name:
            return study
    raise unknown("study", name, list(STUDIES), "'flyweight study list' shows all")
