"""``manage.py outbox_rehearse``: which messages it calls, and how it writes what came of them."""

import json

import pytest
from django.core.management import CommandError, call_command

from outbox.models import FailureGroup, Message
from tests.harness.desk import failure_group
from tests.harness.messages import publish_failed

pytestmark = [pytest.mark.services, pytest.mark.django_db(transaction=True)]
CONSUMER = "shop.try_out"


def failed(group: FailureGroup | None = None, *, do: str = "") -> int:
    id = publish_failed("shop.tried", do=do)
    if group is not None:
        Message.objects.filter(pk=id).update(failure=group.pk)
    return id


def test_a_group_is_rehearsed_with_what_is_merged_into_it(capsys: pytest.CaptureFixture[str]) -> None:
    one, other = failure_group("jam", consumer=CONSUMER), failure_group("lag", consumer=CONSUMER)
    FailureGroup.objects.filter(pk=one.pk).update(merged_into=other)
    failed(one)
    failed(other)
    failed()

    call_command("outbox_rehearse", group=other.pk[:8], json=True)

    assert json.loads(capsys.readouterr().out)["counts"] == {"success": 2}


def test_what_a_handler_says_is_shown_on_the_terminal_and_not_obeyed(capsys: pytest.CaptureFixture[str]) -> None:
    failed(do="fail with a colour")

    with pytest.raises(SystemExit):
        call_command("outbox_rehearse", consumer=CONSUMER)

    said = capsys.readouterr().out
    assert "\x1b" not in said
    assert "\\u001b[" in said


def test_a_group_that_is_not_there_is_said() -> None:
    failed()

    with pytest.raises(CommandError, match="There is no failure group “nobody”"):
        call_command("outbox_rehearse", group="nobody")
