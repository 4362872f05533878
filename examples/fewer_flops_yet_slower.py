"""Why is my network with fewer FLOPs slower? Count two networks, then time them against each other.

python examples/fewer_flops_yet_slower.py
"""

import sys

import numpy as np

import flyweight

FEWER, MORE = "shufflenet_v1_x1_0_g3", "mobilenet_v1_x0_5"


def main(budget_s: float = 10.0) -> None:
    """Print what each network costs, and the ratio of their times on this machine."""
    for name in (FEWER, MORE):
        counted = flyweight.cost(name)
        idle = sum(op.memory_access for op in counted.operations if not op.madds)
        print(
            f"{name}: {counted.madds / 1e6:.0f} M multiply-adds,"
            f" {counted.memory_access / 1e6:.1f} M elements read and written"
            f" ({idle / 1e6:.1f} M of them by operations without a multiply-add)"
        )
    image = np.random.default_rng(0).standard_normal((1, 3, 224, 224), np.float32)
    runners = {name: flyweight.compile(name, image, threads=1) for name in (FEWER, MORE)}
    measured = flyweight.measure(runners, budget_s=budget_s)
    ratio = measured.ratio(FEWER, MORE)
    verdict = f"{ratio.value:.2f} times" if ratio.differs else "not measurably other than"
    print(f"{FEWER} takes {verdict} the time of {MORE} ({ratio.low:.2f} to {ratio.high:.2f})")


if __name__ == "__main__":
    main(*map(float, sys.argv[1:2]))
