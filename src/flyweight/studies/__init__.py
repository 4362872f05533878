"""The papers' tables and figures as experiments that run here."""

from flyweight.studies.catalogue import STUDIES, study_named
from flyweight.studies.costs import CaseCost, case_cost
from flyweight.studies.gathering import (
    machine_of,
    not_run,
    results_of,
    study_records,
    verdicts_of,
    verdicts_said,
)
from flyweight.studies.results import (
    SeriesResult,
    Setting,
    StudyResult,
    settings_of,
    study_result,
)
from flyweight.studies.running import Telling, run_study
from flyweight.studies.study import Case, Published, Series, Study
from flyweight.studies.sweeping import Budget, Sweep, SweepTelling, run_studies
from flyweight.studies.tables import Chart, Column, Table
from flyweight.studies.verdicts import Verdict

__all__ = [
    "STUDIES",
    "Budget",
    "Case",
    "CaseCost",
    "Chart",
    "Column",
    "Published",
    "Series",
    "SeriesResult",
    "Setting",
    "Study",
    "StudyResult",
    "Sweep",
    "SweepTelling",
    "Table",
    "Telling",
    "Verdict",
    "case_cost",
    "machine_of",
    "not_run",
    "results_of",
    "run_studies",
    "run_study",
    "settings_of",
    "study_named",
    "study_records",
    "study_result",
    "verdicts_of",
    "verdicts_said",
]
