"""Train ShuffleNet V2 0.5x on small images, and write it as C: a few minutes on two cores.

python examples/train_on_small_images.py small.npz runs/small

The file holds uint8 arrays x_train, y_train, x_test, y_test, as Fashion-MNIST or CIFAR-10 do; a
folder of small images with a folder for each class does as well. Run it again after Ctrl-C.
"""

import shutil
import sys

from flyweight.cli.app import run

SIDE = "28"


def main(data: str, out: str, epochs: str = "4") -> int:
    """Train, or go on with training; then export."""
    code = run(
        [
            *("train", "shufflenet_v2_x0_5", "--data", data, "--out", out, "--resume"),
            *("--epochs", epochs, "--batch", "64", "--checkpoint", "1m"),
            # Small images keep more of their pixels, in the stem and in crops.
            *("--input", SIDE, "--option", "stem_stride=2", "--centre", "1", "--smallest", "0.7"),
        ]
    )
    if code == 0 and shutil.which("cc"):
        code = run(["export", out, "--format", "c", "--pixels", "uint8", "--out", f"{out}/c",
                    "--force"])  # fmt: skip
    elif code == 0:
        print(f"no C compiler here: flyweight export {out} --out network.onnx does without one")
    return code


if __name__ == "__main__":
    if len(sys.argv) < 3:
        sys.exit(__doc__)
    sys.exit(main(*sys.argv[1:]))
