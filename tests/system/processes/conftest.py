"""Clones for demos and for ``up``; nothing of them is left behind."""

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.system.processes import clones


@pytest.fixture(scope="module")
def empty_clone(tmp_path_factory: pytest.TempPathFactory) -> Iterator[clones.Environment]:
    """The environment of a fresh clone: empty state, and on services an empty database."""
    own = clones.empty_environment(tmp_path_factory.mktemp("empty") / "state")
    if os.environ.get("EMBEDDED"):
        yield own
        return
    name = clones.name_of_database("empty")
    clones.make_database(name)
    yield clones.on_services(own, database=name)
    clones.drop_database(name)


@pytest.fixture(scope="module")
def migrated_clone(tmp_path_factory: pytest.TempPathFactory) -> Iterator[clones.Environment]:
    """A clone with all tables, made once to be copied."""
    own = clones.empty_environment(tmp_path_factory.mktemp("migrated") / "state")
    if os.environ.get("EMBEDDED"):
        clones.migrate(own)
        yield own
        return
    name = clones.name_of_database("migrated")
    clones.make_database(name)
    own = clones.on_services(own, database=name)
    clones.migrate(own)
    yield own
    clones.drop_database(name)


@pytest.fixture
def environment(migrated_clone: clones.Environment, tmp_path: Path) -> Iterator[clones.Environment]:
    """The environment of a clone of the test's own, with the tables that the first demo would make."""
    own = clones.empty_environment(tmp_path / "state")
    if os.environ.get("EMBEDDED"):
        shutil.copytree(migrated_clone["STATE_DIR"], own["STATE_DIR"])
        yield own
        return
    name = clones.name_of_database("demo")
    clones.make_database(name, template=clones.name_of_database("migrated"))
    yield clones.on_services(own, database=name)
    clones.drop_database(name)
