"""Checkpoints that others publish and that the zoo can load: where they are, and how to check them.

A row is what its publisher says. What the publisher doesn't say is left empty: an error that isn't
printed anywhere is None, and a checkpoint that only a web page gives has no address.
"""

import dataclasses
import fnmatch
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from urllib.parse import unquote, urlsplit

from flyweight.errors import UsageError, unknown
from flyweight.files import sha256
from flyweight.zoo.preprocessing import IMAGENET, Preprocessing


@dataclass(frozen=True)
class PublicWeights:
    """A checkpoint that somebody publishes.

    Attributes:
        name: what it is called here, "NETWORK.PUBLISHER".
        model: the network, as `load_pretrained` takes it.
        url: where the file is; empty where it can only be fetched by hand from `source`.
        sha256: of the file, in hexadecimal; the first digits where no more is published.
        size_mib: the file's size in MiB as published, to three decimals.
        layout: the name of its layout.
        licence: of the repository that publishes it. ImageNet's terms may matter beside it.
        top1_error: in percent, one crop, as the publisher evaluates it.
        top5_error: likewise.
        source: the page that says all this.
        note: what else to know of it.
        preprocessing: where it differs from the layout's.
    """

    name: str
    model: str
    url: str
    sha256: str
    size_mib: float | None
    layout: str
    licence: str
    top1_error: float | None
    top5_error: float | None
    source: str
    note: str = ""
    preprocessing: Preprocessing | None = None

    @property
    def file(self) -> str:
        """The file's name; empty where it has no address."""
        return PurePosixPath(unquote(urlsplit(self.url).path)).name


_RESIZED_TO_232 = dataclasses.replace(IMAGENET, resize=232)
_GITHUB = "https://github.com/"


@dataclass(frozen=True)
class _Row:
    """What torchvision says of a checkpoint: its file, MiB, accuracies, and how it evaluates."""

    model: str
    file: str
    size_mib: float
    top1_accuracy: float
    top5_accuracy: float
    version: int = 1
    resize: int = 256


def _torchvision(layout: str, module: str, rows: Sequence[_Row]) -> Iterator[PublicWeights]:
    """Rows of torchvision, which puts the first digits of the checksum into the file's name."""
    for row in rows:
        yield PublicWeights(
            name=f"{row.model}.torchvision" + ("" if row.version == 1 else f"_v{row.version}"),
            model=row.model,
            url=f"https://download.pytorch.org/models/{row.file}.pth",
            sha256=row.file.rpartition("-")[2],
            size_mib=row.size_mib,
            layout=f"torchvision {layout}",
            licence="BSD-3-Clause",
            top1_error=round(100 - row.top1_accuracy, 3),
            top5_error=round(100 - row.top5_accuracy, 3),
            source=f"{_GITHUB}pytorch/vision/blob/main/torchvision/models/{module}.py",
            note=f"IMAGENET1K_V{row.version}",
            preprocessing=_RESIZED_TO_232 if row.resize == 232 else None,
        )


def _squeezenet(version: str, sha256: str, mib: float, top1: float, note: str) -> PublicWeights:
    """A .caffemodel of SqueezeNet's authors; sizes and checksums are Open Model Zoo's."""
    return PublicWeights(
        name=f"squeezenet_{version.replace('.', '_')}.caffe",
        model=f"squeezenet_{version.replace('.', '_')}",
        url=f"{_GITHUB}forresti/SqueezeNet/raw/a47b6f13d30985279789d08053d37013d67d131b/"
        f"SqueezeNet_v{version}/squeezenet_v{version}.caffemodel",
        sha256=sha256,
        size_mib=mib,
        layout="Caffe SqueezeNet",
        licence="BSD-2-Clause",
        top1_error=top1,
        top5_error=19.7,
        source=f"{_GITHUB}forresti/SqueezeNet",
        note=note,
    )


def _by_hand(
    model: str, publisher: str, layout: str, errors: tuple[float | None, float | None], page: str
) -> PublicWeights:
    licence, where = {
        "megvii": ("MIT", "on the OneDrive and BaiduYun folders that this page links"),
        "caffe": ("BSD-2-Clause", "in the Dropbox folder that this page links"),
    }[publisher]
    return PublicWeights(
        name=f"{model}.{publisher}",
        model=model,
        url="",
        sha256="",
        size_mib=None,
        layout=layout,
        licence=licence,
        top1_error=errors[0],
        top5_error=errors[1],
        source=_GITHUB + page,
        note=where,
    )


def _megvii(model: str, top1: float, top5: float) -> PublicWeights:
    page = "megvii-model/ShuffleNet-Series/tree/master/ShuffleNetV2"
    return _by_hand(model, "megvii", "Megvii ShuffleNet V2", (top1, top5), page)


def _squeezenext(model: str, top1: float, top5: float) -> PublicWeights:
    return _by_hand(
        f"squeezenext_{model}",
        "caffe",
        "Caffe SqueezeNext",
        (round(100 - top1, 2), round(100 - top5, 2)),
        "amirgholami/SqueezeNext",
    )


def _fastestdet(name: str, file: str, sha256: str, mib: float, layout: str) -> PublicWeights:
    return PublicWeights(
        name=name,
        model="shufflenet_v2_x0_5",
        url=f"{_GITHUB}dog-qiuqiu/FastestDet/raw/50473cd155cb088aa4a99e64ff6a4b3c24fa07e1/{file}",
        sha256=sha256,
        size_mib=mib,
        layout=layout,
        licence="BSD-3-Clause",
        top1_error=None,
        top5_error=None,
        source=f"{_GITHUB}dog-qiuqiu/FastestDet",
        note="a backbone without the last convolution and classifier: partial=True loads it",
    )


PUBLIC: tuple[PublicWeights, ...] = (
    *_torchvision("ShuffleNet V2", "shufflenetv2", (
        _Row("shufflenet_v2_x0_5_halved", "shufflenetv2_x0.5-f707e7126e", 5.282, 60.552, 81.746),
        _Row("shufflenet_v2_x1_0_halved", "shufflenetv2_x1-5666bf0f80", 8.791, 69.362, 88.316),
        _Row("shufflenet_v2_x1_5_halved", "shufflenetv2_x1_5-3c479a10", 13.557, 72.996, 91.086),
        _Row("shufflenet_v2_x2_0_halved", "shufflenetv2_x2_0-8be3c8ee", 28.433, 76.230, 93.006),
    )),
    *_torchvision("MobileNet V2", "mobilenetv2", (
        _Row("mobilenet_v2_x1_0", "mobilenet_v2-b0353104", 13.555, 71.878, 90.286),
        _Row("mobilenet_v2_x1_0", "mobilenet_v2-7ebf99e0", 13.598, 72.154, 90.822, 2, 232),
    )),
    *_torchvision("SqueezeNet", "squeezenet", (
        _Row("squeezenet_1_0", "squeezenet1_0-b66bff10", 4.778, 58.092, 80.420),
        _Row("squeezenet_1_1", "squeezenet1_1-b8a52dc0", 4.729, 58.178, 80.624),
    )),
    *_torchvision("ResNet", "resnet", (
        _Row("resnet_18", "resnet18-f37072fd", 44.661, 69.758, 89.078),
        _Row("resnet_50_b", "resnet50-0676ba61", 97.781, 76.130, 92.862),
        _Row("resnet_50_b", "resnet50-11ad3fa6", 97.790, 80.858, 95.434, 2, 232),
        _Row("resnet_101_b", "resnet101-63fe2227", 170.511, 77.374, 93.546),
        _Row("resnet_101_b", "resnet101-cd907fc2", 170.530, 81.886, 95.780, 2, 232),
        _Row("resnet_152_b", "resnet152-394f9c45", 230.434, 78.312, 94.046),
        _Row("resnet_152_b", "resnet152-f82ba261", 230.474, 82.284, 96.002, 2, 232),
    )),
    *_torchvision("ResNeXt", "resnet", (
        _Row("resnext_50_32x4d", "resnext50_32x4d-7cdf4587", 95.789, 77.618, 93.698),
        _Row("resnext_50_32x4d", "resnext50_32x4d-1a0047aa", 95.833, 81.198, 95.340, 2, 232),
        _Row("resnext_101_64x4d", "resnext101_64x4d-173b62eb", 319.318, 83.246, 96.454, resize=232),
    )),
    *_torchvision("AlexNet", "alexnet", (
        _Row("alexnet_one_tower", "alexnet-owt-7be5be79", 233.087, 56.522, 79.066),
    )),
    *_torchvision("VGG", "vgg", (
        _Row("vgg_16", "vgg16-397923af", 527.796, 71.592, 90.382),
        _Row("vgg_19", "vgg19-dcbb9e9d", 548.051, 72.376, 90.876),
    )),
    *_torchvision("DenseNet", "densenet", (
        _Row("densenet_121", "densenet121-a639ec97", 30.845, 74.434, 91.972),
    )),
    *_torchvision("GoogLeNet", "googlenet", (
        _Row("googlenet_bn", "googlenet-1378be20", 49.731, 69.778, 89.530),
    )),
    *_torchvision("Inception V3", "inception", (
        _Row("inception_v3", "inception_v3_google-0cc3c7bd", 103.903, 77.294, 93.450),
    )),
    _squeezenet("1.0", "9ff8035aada1f9ffa880b35252680d971434b141ec9fbacbe88309f0f9a675ce",
                4.770, 42.5, "errors from the paper"),
    _squeezenet("1.1", "72b912ace512e8621f8ff168a7d72af55910d3c7c9445af8dfbff4c2ee960142",
                4.721, 42.9, "errors from the SqueezeNext paper"),
    _squeezenext("x1_0_23", 59.05, 82.60),
    _squeezenext("x1_0_23_g", 57.16, 80.23),
    _squeezenext("x1_0_23_v5", 59.24, 82.41),
    _squeezenext("x2_0_23", 67.18, 88.17),
    _squeezenext("x2_0_23_v5", 67.44, 88.20),
    _fastestdet("shufflenet_v2_x0_5.fastestdet_backbone", "module/shufflenetv2.pth",
                "c9e6e3ac1c4997e05529cfb4897a3b5d29165e3ed4105cfb6897fc11efa72e4b",
                0.666, "Megvii ShuffleNet V2 backbone"),
    _fastestdet("shufflenet_v2_x0_5.fastestdet", "weights/weight_AP05%3A0.253207_280-epoch.pth",
                "7f688d478ee474c82dbdb9c10e0ede2f8f3cf5d603f0825d2efd925eb561d05e",
                1.104, "FastestDet's ShuffleNet V2 backbone"),
    _megvii("shufflenet_v2_x0_5", 38.9, 17.4),
    _megvii("shufflenet_v2_x1_0", 30.6, 11.1),
    _megvii("shufflenet_v2_x1_5", 27.4, 9.4),
    _megvii("shufflenet_v2_x2_0", 25.0, 7.6),
)  # fmt: skip
"""What is published, in the order of the families."""


def list_weights(pattern: str = "*") -> list[PublicWeights]:
    """The checkpoints whose own name, or whose network's, matches a shell pattern."""
    return [
        entry
        for entry in PUBLIC
        if fnmatch.fnmatchcase(entry.name, pattern) or fnmatch.fnmatchcase(entry.model, pattern)
    ]


def weights_named(name: str) -> PublicWeights:
    """The checkpoint of a name, or of a network that has only one.

    Raises:
        UsageError: an unknown name, or a network of several checkpoints.
    """
    exact = [entry for entry in PUBLIC if entry.name == name]
    found = exact or [entry for entry in PUBLIC if entry.model == name]
    if not found:
        names = [entry.name for entry in PUBLIC]
        raise unknown("weights", name, names, "'flyweight weights list' shows all")
    if len(found) > 1:
        names = [entry.name for entry in found]
        raise UsageError(f"there are several weights of {name}: say which, {' or '.join(names)}")
    return found[0]


def weights_in(file: Path) -> PublicWeights | None:
    """The checkpoint that a file is, by its checksum; None where it is none of those known here."""
    size = file.stat().st_size / 2**20
    # Most files differ in size already, and needn't be read.
    alike = [entry for entry in PUBLIC if entry.sha256 and abs((entry.size_mib or 0) - size) < 1e-3]
    found = sha256(file) if alike else ""
    return next((entry for entry in alike if found.startswith(entry.sha256)), None)
