"""The command line: words in, one call, words out."""

from grainlight.cli.app import main

__all__ = ["main"]
