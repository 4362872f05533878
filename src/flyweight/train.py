"""`flyweight train` for `torchrun`: `torchrun --nproc-per-node 2 -m flyweight.train NAME …`."""

import sys

from flyweight.cli import main

if __name__ == "__main__":
    sys.argv.insert(1, "train")
    main()
