"""What a docstring names in capitals is there: in its module, or as a setting."""

import re

import pytest
from django.conf import global_settings

from outbox.conf import Conf
from tests.harness.program import ROOT

NAMED = re.compile(r"``([A-Z][A-Z_]{3,})``")
SETTINGS = {name.upper() for name in Conf.__dataclass_fields__} | {
    *dir(global_settings),
    "ATOMIC_REQUESTS",
    "CONN_MAX_AGE",
    "SITE_URL",
}
SQL = {"COMMIT", "DELETE", "INSERT", "NOTIFY", "NULL", "ROLLBACK", "SELECT", "UPDATE", "WHERE"}
MODULES = [
    path
    for folder in ("outbox", "awards", "config")
    for path in sorted((ROOT / folder).rglob("*.py"))
    if NAMED.search(path.read_text())
]


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(ROOT)))
def test_every_constant_that_a_docstring_names_is_there(path):
    text = path.read_text()
    code = NAMED.sub("", text)

    unknown = {name for name in NAMED.findall(text) if not re.search(rf"\b{name}\b", code)}
    assert unknown - SETTINGS - SQL == set()
