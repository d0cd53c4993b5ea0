"""Only the table of the awards, which say what is to be ordered."""

from benchmarks.peers.base import *  # noqa: F403
