"""The project's own settings with a small shop beside it, whose consumers the engine's tests deliver to."""

import os

os.environ.setdefault("SECRET_KEY", "only for tests")
os.environ.setdefault("OUTBOX_PREFIX", f"test-{os.getpid()}")

from config.settings import *  # noqa: E402, F403  # the environment must be set first
from config.settings import INSTALLED_APPS  # noqa: E402

INSTALLED_APPS = [*INSTALLED_APPS, "tests.shop"]
PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
EMAIL_BACKEND = "django.core.mail.backends.locmem.EmailBackend"
SECURE_SSL_REDIRECT = False
