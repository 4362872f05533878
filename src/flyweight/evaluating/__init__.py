"""How many labelled images a network with trained weights names right."""

from flyweight.evaluating.data import Labelled, LabelledImages, labelled_images
from flyweight.evaluating.loop import Squares, Step, evaluate, outputs
from flyweight.evaluating.result import ClassResult, Evaluation, Share, Skipped, wilson

__all__ = [
    "ClassResult",
    "Evaluation",
    "Labelled",
    "LabelledImages",
    "Share",
    "Skipped",
    "Squares",
    "Step",
    "evaluate",
    "labelled_images",
    "outputs",
    "wilson",
]
