"""All studies that records hold, on each machine and in each setting; and all their verdicts."""

from collections import Counter
from collections.abc import Iterable, Sequence

from flyweight.records import Record
from flyweight.studies.catalogue import STUDIES
from flyweight.studies.results import StudyResult, case_key, settings_of, study_result
from flyweight.studies.study import Study
from flyweight.studies.verdicts import Verdict


def machine_of(record: Record) -> str:
    """What a record was timed on, e.g. "AMD EPYC (2 cores, avx2)", with its GPU if it has one.

    Processors of several generations may have one name: their widest vectors tell them apart.
    """
    about = record.environment
    gpu = f" and {about.gpu}" if about.gpu else ""
    cores = f"{about.cores} core{'' if about.cores == 1 else 's'}"
    return f"{about.cpu} ({', '.join(filter(None, (cores, about.widest)))}){gpu}"


def study_records(records: Iterable[Record]) -> list[Record]:
    """Those of studies, without other measurements."""
    keys = {
        case_key(study, one, case)
        for study in STUDIES.values()
        for one in study.series
        for case in one.cases
    }
    return [record for record in records if record.runner in keys]


def untimed_studies() -> list[Study]:
    """Studies of which nothing is timed: all that they show is computed."""
    return [
        study
        for study in STUDIES.values()
        if study.timings is None and not any(one.timed for one in study.series)
    ]


def results_of(records: Sequence[Record], untimed: bool = False) -> list[StudyResult]:
    """A result for each study, machine and setting that there are records of.

    Args:
        records: of studies, and of anything else.
        untimed: whether to add the studies of which nothing is timed.
    """
    machines: dict[str, list[Record]] = {}
    for record in study_records(records):
        machines.setdefault(machine_of(record), []).append(record)
    computed = {study.name for study in untimed_studies()} if untimed else set()
    found = []
    for study in STUDIES.values():
        for own in machines.values():
            found += [study_result(study, own, setting) for setting in settings_of(study, own)]
        if study.name in computed:
            found.append(study_result(study))
    return found


def not_run(results: Iterable[StudyResult]) -> str:
    """A sentence that names the studies of which there is no result; "" where there are all."""
    there = {one.study for one in results}
    missing = [name for name in STUDIES if name not in there]
    return f"Not timed here yet: {', '.join(missing)}." if missing else ""


def verdicts_of(result: StudyResult) -> list[tuple[str, Verdict]]:
    """Every verdict of a study, with the name of the series that it is about; "" for all."""
    found = [(one.name, verdict) for one in result.series for verdict in one.verdicts]
    return found if result.together is None else [*found, ("", result.together)]


def verdicts_said(results: Iterable[StudyResult]) -> str:
    """How many claims hold, in a sentence."""
    answers = Counter(verdict.answer for one in results for _, verdict in verdicts_of(one))
    count = sum(answers.values())
    if not count:
        return "No claim was tested."
    return (
        f"Of {count} tested claim{'' if count == 1 else 's'} {answers['holds']} hold here,"
        f" {answers['does not hold']} don't, and {answers['not decided']} are not decided."
    )
