"""The tests' settings with consumers that talk."""

from tests.settings import *  # noqa: F403  # the same in everything else
from tests.settings import INSTALLED_APPS

INSTALLED_APPS = [*INSTALLED_APPS, "tests.system.running"]
