"""The command line: thin commands over the public names."""

from flyweight.cli.app import main

__all__ = ["main"]
