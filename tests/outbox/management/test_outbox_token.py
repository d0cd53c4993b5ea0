"""``manage.py outbox_token``: tokens are made, listed and revoked from a shell."""

import io
import json

import pytest
from django.core.management import CommandError, call_command

from outbox.models import ApiToken, AuditEntry
from outbox.operate.tokens import find_token
from tests.harness.desk import user

pytestmark = pytest.mark.django_db(transaction=True)

WHO = ("--reason", "retries at night", "--actor", "root")


def run(*arguments: str) -> str:
    out = io.StringIO()
    call_command("outbox_token", *arguments, stdout=out, stderr=io.StringIO())
    return out.getvalue()


def make(*more: str, owner: str = "ann") -> str:
    given = ("--owner", owner, "--scope", "messages:read", "--scope", "messages:retry", "--days", "30", *more)
    return run("make", "night job", *given, *WHO)


def test_what_is_printed_is_the_secret_and_nothing_else() -> None:
    user("ann")

    secret = make()

    token = find_token(secret.strip())
    assert token is not None
    assert (token.owner, token.scopes, token.made_by) == ("ann", ["messages:read", "messages:retry"], "root")
    assert AuditEntry.objects.get().origin.startswith("command (")


def test_they_are_listed_and_one_is_revoked_by_its_beginning() -> None:
    user("ann")
    prefix = make()[:10]

    assert run("list").startswith(f"{prefix}  valid, until ")
    assert run("revoke", prefix, *WHO) == f"night job ({prefix}): revoked\n"
    assert json.loads(run("list", "--json"))["state"] == "revoked"
    assert ApiToken.objects.get().revoked_by == "root"


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("make", "night", "--owner", "nobody", "--scope", "messages:read", "--days", "30"), "nobody named nobody"),
        (("make", "night", "--owner", "ann", "--scope", "messages:read", "--days", "100"), "at most 90 days"),
        (("make", "night", "--owner", "ann", "--scope", "messages:read", "--days", "-1"), "at most 90 days"),
        (("revoke", "mg_nothing"), "no token that begins"),
    ],
)
def test_what_cannot_be_done_is_said(arguments: tuple[str, ...], said: str) -> None:
    user("ann")

    with pytest.raises(CommandError, match=said):
        run(*arguments, *WHO)
