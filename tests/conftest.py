"""Settings for all tests."""

import torch
from hypothesis import settings

# Shared machines stall now and then; a slow example is no failure.
settings.register_profile("flyweight", deadline=None)
settings.load_profile("flyweight")

# Tests run in a process a core ('make test'): more threads would wait for each other.
torch.set_num_threads(1)
