"""The tests' settings with the depot's consumers."""

from tests.settings import *  # noqa: F403  # settings extend settings
from tests.settings import INSTALLED_APPS

INSTALLED_APPS = [*INSTALLED_APPS, "benchmarks.depot"]
