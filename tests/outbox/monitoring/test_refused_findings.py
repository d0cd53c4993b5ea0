"""A broker that does not answer, refuses a queue or drops hints: said with the command that mends it."""

from dataclasses import replace

import pytest

from outbox.monitoring.findings import What
from tests.outbox.monitoring.measured import FINE, of


def test_a_broker_that_did_not_answer_is_critical():
    ((level, sentence),) = of(What.BROKER, replace(FINE, broker_away=True))

    assert level == "critical"
    assert sentence.startswith(
        "The broker did not answer at the last rescan: messages wait in the table, none is lost."
    )


def refused(code: int, said: str) -> dict[str, object]:
    return {"code": code, "said": said, "vhost": "/", "user": "shop"}


def test_a_refused_queue_is_critical_and_names_the_command_that_mends_it():
    measurements = replace(FINE, refused={"mine.b": refused(403, "no"), "mine.a": refused(406, "odd")})

    assert of(What.QUEUE, measurements) == [
        (
            "critical",
            "RabbitMQ has a queue mine.a with other properties (odd): its messages wait in the table. Delete it, and "
            "it is made anew: rabbitmqctl -p '/' delete_queue 'mine.a'",
        ),
        (
            "critical",
            "RabbitMQ denies “shop” the queue mine.b (no): its messages wait in the table. Give it the rights to "
            r"configure, write and read: rabbitmqctl set_permissions -p '/' 'shop' '^mine\.' "
            r"'^(mine\.|amq\.default)' '^mine\.', with what else it needs.",
        ),
    ]
    assert of(What.BROKER, measurements) == []
    ((_level, sentence),) = of(What.QUEUE, replace(FINE, refused={"mine.c": refused(405, "locked")}))
    assert "rabbitmqctl -p '/' list_queues" in sentence


@pytest.mark.parametrize(
    ("reason", "why"),
    [
        ("maxlen", "more of them are waiting than it may hold"),
        ("full", "more of them are waiting than it may hold"),
        ("expired", "their time is over before a worker takes them"),
    ],
)
def test_a_policy_that_drops_hints_is_a_warning_and_names_the_queue_and_the_commands(reason: str, why: str):
    measurements = replace(FINE, dropped={"mine.a": {"reason": reason, "vhost": "/shop"}})

    assert of(What.QUEUE, measurements) == [
        (
            "warning",
            f"RabbitMQ drops hints of the queue mine.a ({why}), as a policy laid over it says: its messages are sent "
            "again, and only slower. See which policy, and take it off: rabbitmqctl -p '/shop' list_queues name policy "
            "operator_policy; rabbitmqctl -p '/shop' clear_policy NAME",
        )
    ]


@pytest.mark.parametrize(
    ("code", "command"), [(530, "rabbitmqctl add_vhost '/'"), (403, "rabbitmqctl change_password")]
)
def test_a_broker_that_does_not_let_us_in_is_critical_and_names_the_command(code: int, command: str):
    ((level, sentence),) = of(What.BROKER, replace(FINE, broker_away=True, refused={"": refused(code, "no")}))

    assert level == "critical"
    assert command in sentence
