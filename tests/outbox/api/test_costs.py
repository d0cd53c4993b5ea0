"""What each call asks the database: a bounded number of statements, whatever is in the tables and however deep."""

from collections.abc import Iterator
from contextlib import ExitStack

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from outbox import consumer, registry
from outbox.models import BulkOperation, ConsumerState
from tests.harness.api import Program, member_of, program_of
from tests.harness.bulk import prepared
from tests.harness.desk import ISSUE, failure_group, wins
from tests.harness.rows import Rows, attempt

pytestmark = pytest.mark.django_db

AT_MOST = 14
"""Five of them are the token's: found, its owner, one of the count, and two of the owner's permissions."""
CALLS = (
    *("messages", "messages?tab=pending", "messages?tab=all&after={message}", "messages?tab=success&within=24h"),
    *("search?text=1", "messages/{message}", "messages/{message}/payload", "operations", "operations/{operation}"),
    *(
        "status",
        "consumers",
        f"consumers/{ISSUE}",
        "failure-groups",
        "failure-groups?state=all",
        "failure-groups/{group}",
    ),
)


@pytest.fixture
def many_consumers() -> Iterator[None]:
    with ExitStack() as made:
        for number in range(30):
            name = f"many.consumer_{number:02}"
            consumer("many.topic", name=name)(lambda message: None)
            made.callback(registry.forget_consumer, name)
            rows = Rows(name, topic="many.topic")
            rows.failed()
            rows.pending()
            rows.success()
            ConsumerState.objects.create(consumer=name)
        yield


@pytest.mark.parametrize("call", CALLS)
@pytest.mark.usefixtures("many_consumers")
def test_a_call_asks_a_bounded_number_of_questions(call: str) -> None:
    program: Program = program_of(member_of("Outbox lead"))
    group = failure_group("jam", stuck=60)
    message = wins.failed("1")
    for number in range(5):
        attempt(message, number + 1)
    names = {"message": message.pk, "operation": prepared().pk, "group": group.pk}
    BulkOperation.objects.bulk_create([BulkOperation(verb="retry", created_by="ada") for _n in range(60)])

    with CaptureQueriesContext(connection) as asked:
        answer = program.get(call.format(**names))

    assert answer.status == 200
    questions = [each["sql"] for each in asked if not each["sql"].startswith(("SAVEPOINT", "RELEASE"))]
    assert len(questions) <= AT_MOST, "\n".join(questions)
