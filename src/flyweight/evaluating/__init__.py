"""How many labelled images a network with trained weights names right."""

from flyweight.evaluating.data import Labelled, LabelledImages, labelled_images
from flyweight.evaluating.loop import Squares, Step, evaluate, outputs
from flyweight.evaluating.result import ClassResult, Evaluation, Share, Skipped, wilson
from flyweight.evaluating.together import Answered, Change, change, evaluate_together

__all__ = [
    "Answered",
    "Change",
    "ClassResult",
    "Evaluation",
    "Labelled",
    "LabelledImages",
    "Share",
    "Skipped",
    "Squares",
    "Step",
    "change",
    "evaluate",
    "evaluate_together",
    "labelled_images",
    "outputs",
    "wilson",
]
