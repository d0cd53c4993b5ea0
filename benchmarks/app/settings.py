"""The tests' settings with the consumers of the long runs."""

from tests.settings import *  # noqa: F403  # settings extend settings
from tests.settings import INSTALLED_APPS

INSTALLED_APPS = [*INSTALLED_APPS, "benchmarks.app"]
