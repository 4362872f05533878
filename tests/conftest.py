"""Settings for all tests."""

from hypothesis import settings

# Shared machines stall now and then; a slow example is no failure.
settings.register_profile("flyweight", deadline=None)
settings.load_profile("flyweight")
