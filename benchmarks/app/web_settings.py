"""The project's own settings, as ``make up`` serves with them, but for where the collected files go."""

from config.settings import *  # noqa: F403  # settings extend settings
from config.settings import STATE_DIR

STATIC_ROOT = STATE_DIR / "staticfiles"
