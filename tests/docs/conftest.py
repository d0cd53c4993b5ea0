"""A project that follows the manual."""

import pytest

from tests.docs import surroundings
from tests.docs.reader import Reader


@pytest.fixture(scope="module")
def adopted(tmp_path_factory):
    """A project that has adopted the outbox, migrated, to be copied."""
    folder = tmp_path_factory.mktemp("adopted") / "project"
    folder.mkdir()
    with Reader(folder) as reader:
        reader.write(surroundings.ADOPTED)
        reader.shell("python manage.py makemigrations myshop && python manage.py migrate", where="the surroundings")
    return folder
