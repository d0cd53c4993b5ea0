"""Without django-ninja everything else works, and who includes the API's addresses is told what to do."""

import os
import subprocess
import sys

import pytest

from tests.harness.program import ROOT

pytestmark = pytest.mark.processes

WITHOUT = "import sys; sys.modules.update(ninja=None, pydantic=None)\nimport django; django.setup()\n"


def run(code: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "DJANGO_SETTINGS_MODULE": "tests.settings", "PYTHONPATH": str(ROOT)}
    argv = [sys.executable, "-c", WITHOUT + code]
    return subprocess.run(argv, env=environment, cwd=ROOT, capture_output=True, text=True, check=False, timeout=60)


def test_the_desk_the_command_and_the_checks_do_without() -> None:
    done = run(
        "from django.conf import settings; settings.ROOT_URLCONF = 'outbox.urls'\n"
        "from django.core.management import call_command, load_command_class\n"
        "import outbox.admin, outbox.operate.tokens\n"
        "load_command_class('outbox', 'outbox_token')\n"
        "call_command('check', 'outbox')\n"
    )

    assert done.returncode == 0, done.stderr


def test_who_includes_the_addresses_is_told_what_to_install() -> None:
    done = run("import outbox.api.urls")

    assert done.returncode == 1
    assert "ImproperlyConfigured" in done.stderr
    assert "pip install 'django-makegood[api]'" in done.stderr
