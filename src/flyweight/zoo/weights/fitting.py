"""Whether recognised weights fit a network, to the last tensor, and their values as its own."""

from collections.abc import Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import cast

import torch
from torch import Tensor, nn

from flyweight.errors import WeightsError
from flyweight.nn import label
from flyweight.zoo.weights.layout import Source, Sources
from flyweight.zoo.weights.recognising import Recognised, few
from flyweight.zoo.weights.variants import (
    all_options,
    call_of,
    differing,
    family_of,
    fitting,
    written,
)

_COUNTER = "num_batches_tracked"


@dataclass(frozen=True)
class Fitted:
    """Weights that fit.

    Attributes:
        state: our keys to tensors of the network's shapes and types.
        fresh: keys of the network that the file has nothing for.
        unused: names in the file that the network has no use for.
    """

    state: dict[str, Tensor]
    fresh: tuple[str, ...]
    unused: tuple[str, ...]


def fit(file: Recognised, model: nn.Module, partial: bool) -> Fitted:
    """Convert weights for a network, which stays as it is and may be without values.

    Args:
        file: the weights.
        model: the network.
        partial: allow tensors without counterpart, and a classifier of other classes.

    Raises:
        WeightsError: weights of another family, form or width; names without counterpart; values
            that aren't finite.
    """
    target = model.state_dict()
    sources = file.layout.sources(_norm_eps(model))
    used = {key: source for key, source in _present(file, sources).items() if key in target}
    shapes = converted_shapes(file)
    _check_form(file, model, shapes)
    if partial and not _same_classes(target, shapes):
        used = {key: source for key, source in used.items() if not _of_classifier(key)}
    fresh = tuple(key for key in target if key not in used and not key.endswith(_COUNTER))
    unused = _unused(file, used)
    if not partial:
        _check_names(file, model, sources, fresh, unused)
    _check_shapes(file, model, target, used, shapes)
    state = {key: _value(file, key, source, target[key]) for key, source in used.items()}
    for key in target:
        # Where a layout doesn't count batches, counting starts anew.
        if key.endswith(_COUNTER) and key.replace(_COUNTER, "running_mean") in used:
            state.setdefault(key, torch.zeros_like(target[key], device="cpu"))
    return Fitted(state, fresh, unused)


def _norm_eps(model: nn.Module) -> float:
    norms = (module for module in model.modules() if isinstance(module, nn.BatchNorm2d))
    return next((norm.eps for norm in norms), 1e-5)


def _of_classifier(key: str) -> bool:
    return key.startswith("classifier.")


def _present(file: Recognised, sources: Sources) -> Sources:
    """The sources whose tensors are all in the file."""
    return {
        key: source
        for key, source in sources.items()
        if all(name in file.tensors for name in source.keys)
    }


def converted_shapes(file: Recognised) -> dict[str, torch.Size]:
    """The shapes of our tensors as the file gives them, without making them.

    Raises:
        WeightsError: a tensor that can't become ours, such as a kernel of two dimensions.
    """
    shapes = {}
    for key, source in _present(file, file.layout.sources(0.0)).items():
        parts = [torch.empty_like(file.tensors[name], device="meta") for name in source.keys]
        try:
            shapes[key] = source.make(*parts).shape
        except (RuntimeError, IndexError):
            raise WeightsError(
                f"{file.path}: {file.in_file(source.keys[0])!r} of shape"
                f" {tuple(parts[0].shape)} can't become {key!r}"
            ) from None
    return shapes


def _check_form(file: Recognised, model: nn.Module, shapes: Mapping[str, torch.Size]) -> None:
    """The family and the options that don't show in names and shapes."""
    layout, family = file.layout, family_of(model)
    wrong: dict[str, object] = {}
    settings: dict[str, object] = {}
    if family and family == layout.family:
        settings = all_options(str(model.variant), cast(Mapping[str, object], model.options))
        wrong = differing(layout.form, settings)
        if _headless(model):
            wrong.pop("classifier_bias", None)
    if family == layout.family and not wrong:
        return
    belongs = fitting(layout.family, layout.form, shapes)
    call = call_of(belongs, layout.form) if belongs else f"another {layout.family or 'network'}"
    reason = ""
    if wrong:
        has, needs = written({key: settings.get(key) for key in wrong}), written(wrong)
        reason = f", which has {has}" + ("" if belongs else f" instead of {needs}")
    raise WeightsError(
        f"{file.path}: these weights ({layout.name}) belong to {call},"
        f" not to {label(model)}{reason}"
    )


def _headless(model: nn.Module) -> bool:
    return isinstance(getattr(model, "classifier", None), nn.Identity)


def _same_classes(target: Mapping[str, Tensor], shapes: Mapping[str, torch.Size]) -> bool:
    return all(
        target[key].shape == shape
        for key, shape in shapes.items()
        if _of_classifier(key) and key in target
    )


def _unused(file: Recognised, used: Sources) -> tuple[str, ...]:
    names = {name for source in used.values() for name in source.keys}
    return tuple(
        file.in_file(name)
        for name in file.tensors
        if name not in names
        and not name.endswith(_COUNTER)
        and not any(fnmatchcase(name, pattern) for pattern in file.layout.ignored)
    )


def _check_names(
    file: Recognised,
    model: nn.Module,
    sources: Sources,
    fresh: tuple[str, ...],
    unused: tuple[str, ...],
) -> None:
    """Everything must have its counterpart; only a network of features needs no classifier."""
    classifier = {
        file.in_file(name)
        for key, source in sources.items()
        if _of_classifier(key)
        for name in source.keys
    }
    if _headless(model):
        unused = tuple(name for name in unused if name not in classifier)
    known = [key for key in fresh if key in sources]
    absent = [name for key in known for name in sources[key].keys if name not in file.tensors]
    unknown = [key for key in fresh if key not in sources]
    problems = [
        f"{verb} {few(keys)}"
        for verb, keys in (
            ("lacks", list(dict.fromkeys(absent))),
            (f"has nothing for {label(model)}'s", unknown),
            ("holds, without a place for it,", unused),
        )
        if keys
    ]
    if problems:
        raise WeightsError(
            f"{file.path} ({file.layout.name}) {'; '.join(problems)}: partial=True loads the rest"
        )


def _check_shapes(
    file: Recognised,
    model: nn.Module,
    target: Mapping[str, Tensor],
    used: Sources,
    shapes: Mapping[str, torch.Size],
) -> None:
    wrong = [key for key in used if shapes[key] != target[key].shape]
    if not wrong:
        return
    if all(_of_classifier(key) for key in wrong) and shapes[wrong[0]]:
        raise WeightsError(
            f"{file.path}: weights for {shapes[wrong[0]][0]} classes, and {label(model)} has"
            f" {target[wrong[0]].shape[0]}: create it with as many, or load with partial=True,"
            " which leaves its classifier as it is"
        )
    key = wrong[0]
    belongs = fitting(file.layout.family, file.layout.form, shapes) if file.layout.family else None
    name = file.in_file(used[key].keys[0])
    here = "" if name == key else f" (here {key!r})"
    others = f" ({len(wrong) - 1} further tensors differ)" if len(wrong) > 1 else ""
    raise WeightsError(
        f"{file.path}: {name!r}{here} gives {tuple(shapes[key])}, and {label(model)} has"
        f" {tuple(target[key].shape)}{others}" + (f"; these look like {belongs}" if belongs else "")
    )


def _value(file: Recognised, key: str, source: Source, like: Tensor) -> Tensor:
    """One of our tensors, of the network's type, checked."""
    parts = [file.tensors[name] for name in source.keys]
    for name, part in zip(source.keys, parts, strict=True):
        bad = _not_finite(part)
        if bad:
            raise WeightsError(
                f"{file.path}: {file.in_file(name)!r} holds values that are infinite or not"
                f" numbers ({bad} of {part.numel()})"
            )
    value = source.make(*parts)
    if value.is_floating_point() != like.is_floating_point():
        raise WeightsError(
            f"{file.path}: {file.in_file(source.keys[0])!r} is {value.dtype}, and {key!r} must be"
            f" {like.dtype}"
        )
    value = value.to(like.dtype)
    if _not_finite(value):
        raise WeightsError(
            f"{file.path}: {file.in_file(source.keys[0])!r} holds values too large for {like.dtype}"
        )
    if key.endswith("running_var") and bool((value < 0).any()):
        raise WeightsError(f"{file.path}: {file.in_file(source.keys[0])!r} has negative variances")
    return value


def _not_finite(tensor: Tensor) -> int:
    """How many values are infinite or not numbers."""
    if not tensor.is_floating_point():
        return 0
    wide = tensor.float() if tensor.element_size() < 4 else tensor
    return tensor.numel() - int(torch.isfinite(wide).sum())
