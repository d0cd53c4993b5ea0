"""The settings of a release whose code does not know ``shop.book`` yet, though its queue is there already."""

from tests.settings import *  # noqa: F403  # the same in everything else
from tests.settings import INSTALLED_APPS

INSTALLED_APPS = [*INSTALLED_APPS, "tests.system.faults.forgetful.ForgetfulConfig"]
