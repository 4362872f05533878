"""The papers' tables and figures as experiments that run here."""

from flyweight.studies.catalogue import STUDIES, study_named
from flyweight.studies.costs import CaseCost, case_cost
from flyweight.studies.results import Row, SeriesResult, StudyResult
from flyweight.studies.running import run_study
from flyweight.studies.study import Case, Series, Study
from flyweight.studies.verdicts import Verdict, verdict

__all__ = [
    "STUDIES",
    "Case",
    "CaseCost",
    "Row",
    "Series",
    "SeriesResult",
    "Study",
    "StudyResult",
    "Verdict",
    "case_cost",
    "run_study",
    "study_named",
    "verdict",
]
