"""The desk's consumers and hints, and a program of a lead's."""

import pytest

from tests.harness.api import Program, member_of, program_of
from tests.harness.closings import declare
from tests.harness.desk import consumers, hints, plain_static_files

__all__ = ["consumers", "declare", "hints", "plain_static_files"]


@pytest.fixture
def night(db: None) -> Program:
    """A program with every scope that acts for a lead."""
    return program_of(member_of("Outbox lead", name="nora"))
