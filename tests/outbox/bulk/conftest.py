"""The desk's consumers, people and plain static files."""

from tests.harness.closings import declare
from tests.harness.desk import consumers, desk, hints, lead, plain_static_files, viewer

__all__ = ["consumers", "declare", "desk", "hints", "lead", "plain_static_files", "viewer"]
