"""compose.yaml and the systemd units start what ``up`` starts, give it as long to end, and name settings that exist.

Neither can be run by these tests; what can be checked without Docker and without systemd as the first process, is.
"""

import ast
import configparser
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from config.management.commands.start import Command
from config.processes import roles
from outbox import registry
from tests.harness.program import ROOT

COMPOSE = YAML(typ="safe").load(ROOT / "compose.yaml")
TEMPLATE = ROOT / "config" / "systemd" / "makegood@.service"
ROLES = {role.name: role for role in roles.installation({"bind": "127.0.0.1:8000", "web_workers": 2, "concurrency": 2})}


def unit(path: Path) -> dict[str, dict[str, str]]:
    parser = configparser.ConfigParser(strict=True, interpolation=None)
    parser.optionxform = str
    parser.read(path)
    return {section: dict(parser[section]) for section in parser.sections()}


def role_of(command: list[str]) -> str:
    """Return which role a command line starts; a wrong one ends the test."""
    return options_of(command)["role"]


def options_of(command: list[str]) -> dict[str, Any]:
    assert command[1:3] == ["manage.py", "start"]
    return vars(Command().create_parser("manage.py", "start").parse_args(command[3:]))


def seconds(text: str) -> int:
    number, minutes = re.fullmatch(r"(\d+)(m?)s?", text).groups()
    return int(number) * (60 if minutes else 1)


def read_by_settings() -> set[str]:
    """Return the names that settings.py reads from the environment."""
    calls = [
        node
        for node in ast.walk(ast.parse((ROOT / "config" / "settings.py").read_text()))
        if isinstance(node, ast.Call)
    ]
    return {call.args[0].value for call in calls if ast.unparse(call.func).startswith("env.") and call.args}


def test_the_processes_of_web_are_told_among_how_many_the_rate_of_a_sale_is_shared(monkeypatch):
    monkeypatch.delenv("WEB_CONCURRENCY", raising=False)
    alone = roles.web(bind="127.0.0.1:8000", workers=3, env={"SITE_URL": "x"}).env
    monkeypatch.setenv("WEB_CONCURRENCY", "6")
    of_two_machines = roles.web(bind="127.0.0.1:8000", workers=3).env

    assert alone == {"WEB_CONCURRENCY": "3", "SITE_URL": "x"}
    assert of_two_machines == {"WEB_CONCURRENCY": "6"}


def test_the_worker_may_end_what_it_holds_however_long_a_consumer_may_take_over_a_message():
    assert ROLES["worker"].grace > max(each.timeout for each in registry.all_consumers())


def test_compose_satisfies_the_compose_specification():
    check = [str(Path(sys.executable).with_name("check-jsonschema")), "--builtin-schema", "vendor.compose-spec"]
    done = subprocess.run([*check, "compose.yaml"], cwd=ROOT, capture_output=True, text=True, check=False)

    assert done.returncode == 0, done.stdout + done.stderr


def test_compose_starts_what_up_starts_and_lets_it_end():
    services = {name: service for name, service in COMPOSE["services"].items() if "start" in service.get("command", [])}

    assert {name: role_of(service["command"]) for name, service in services.items()} == {name: name for name in ROLES}
    for name, service in services.items():
        assert seconds(service["stop_grace_period"]) >= ROLES[name].grace.total_seconds(), name
        assert service["restart"] == "unless-stopped"
        assert service["depends_on"]["migrate"] == {"condition": "service_completed_successfully"}


def test_compose_gives_the_settings_names_that_they_read_and_no_secret_of_its_own():
    given = COMPOSE["x-makegood"]["environment"]

    assert set(given) <= read_by_settings()
    assert {"SECRET_KEY", "DATABASE_URL", "CELERY_BROKER_URL"} <= set(given)
    for name in ("SECRET_KEY", "DATABASE_URL", "CELERY_BROKER_URL"):
        assert re.search(r"\$\{[A-Z_]+:\?", given[name]), f"{name} is not asked for"


def test_what_compose_waits_for_is_there_and_says_when_it_is_ready():
    services = COMPOSE["services"]

    for service in services.values():
        for name, wanted in service.get("depends_on", {}).items():
            assert wanted["condition"] != "service_healthy" or "test" in services[name]["healthcheck"]
    volumes = [volume.partition(":")[0] for service in services.values() for volume in service.get("volumes", [])]
    assert set(volumes) == set(COMPOSE["volumes"])


def test_the_template_starts_what_up_starts_as_up_starts_it_and_lets_it_end():
    service = unit(TEMPLATE)["Service"]

    for name, role in ROLES.items():
        command = service["ExecStart"].replace("%i", name).split()
        assert role_of(command) == name
        assert roles.installation(options_of(command)) == list(ROLES.values())
        assert seconds(service["TimeoutStopSec"]) >= role.grace.total_seconds(), name


def test_the_target_wants_the_four_that_up_starts():
    target = unit(ROOT / "config" / "systemd" / "makegood.target")

    assert sorted(target["Unit"]["Wants"].split()) == sorted(f"makegood@{name}.service" for name in ROLES)


@pytest.mark.parametrize("name", sorted(ROLES))
def test_systemd_finds_nothing_wrong_with_a_unit(name, tmp_path):
    assert TEMPLATE.read_text().count("/srv/makegood/.venv/bin/python ") == 1
    for each in (ROOT / "config" / "systemd").iterdir():
        tmp_path.joinpath(each.name).write_text(each.read_text().replace("/srv/makegood/.venv/bin/python", "/bin/sh"))
    if shutil.which("systemd-analyze"):
        shutil.copy(tmp_path / TEMPLATE.name, tmp_path / f"makegood@{name}.service")
        verify = ["systemd-analyze", "verify", "--man=no", str(tmp_path / f"makegood@{name}.service")]
        done = subprocess.run(verify, capture_output=True, text=True, check=False)
        assert (done.returncode, done.stderr) == (0, "")
