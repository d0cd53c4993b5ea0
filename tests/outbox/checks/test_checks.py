"""Each check fires on the setting it is for, and is silent on a good one."""

import warnings
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from celery import Celery
from celery.app.defaults import DEFAULTS
from django.core.checks import CheckMessage
from django.test import override_settings

import outbox
from outbox import consumer, registry
from outbox.broker import queues
from outbox.checks import celery as celery_checks
from outbox.checks import check_deployment, check_settings
from outbox.checks import database as database_checks
from outbox.checks.celery import WHY_NEEDED
from outbox.checks.queues import check_queues
from outbox.worker.integration import NEEDED, QUEUES_OF_CELERY, REUSE
from tests.harness.beat import BEAT_TABLES, needs_beat_tables
from tests.outbox.checks.hosts import (
    FINE,
    FINE_WHEN_DEPLOYED,
    POOLED,
    POSTGRESQL,
    RABBITMQ,
    SQLITE,
    UNSAFE,
    UNSAFE_AND_THE_ENGINES_OWN,
    UNSAFE_WHEN_DEPLOYED,
    UsersElsewhere,
    changed,
)

OUTBOX = {"PREFIX": "checked"}
APPS = ["django.contrib.auth", "django.contrib.contenttypes", *BEAT_TABLES, "outbox"]
KNOWN_TO_CELERY = [*NEEDED, *(f"{kind}_queue_{how}" for kind in QUEUES_OF_CELERY for how in ("durable", "exclusive"))]

Found = set[str]


@pytest.fixture
def look(settings: Any, only: Any, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., Found]]:
    """Return a function that looks at a host that is well set up but for what it is given; it answers with ids."""
    project = queues.celery_app()
    monkeypatch.delenv("CELERY_BROKER_URL", raising=False)
    # Which driver is installed here is no part of the host.
    monkeypatch.setattr(database_checks, "find_spec", lambda name: name)
    monkeypatch.setattr(celery_checks, "DEFAULTS", dict.fromkeys(KNOWN_TO_CELERY) | DEFAULTS)  # nor how old Celery is

    def check(
        *,
        deploy: bool = False,
        database: dict[str, Any] = POSTGRESQL,
        celery: dict[str, Any] | None = None,
        outbox_settings: dict[str, Any] | None = None,
        consumer: dict[str, Any] | None = None,
        **django: Any,
    ) -> Found:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # Django warns against exchanging DATABASES; nobody connects
            settings.DATABASES = {"default": database}
        settings.INSTALLED_APPS = APPS
        settings.OUTBOX = OUTBOX | (outbox_settings or {})
        for name, value in django.items():
            setattr(settings, name, value)
        app = Celery("checked", set_as_current=False, fixups=[])
        app.conf.update(RABBITMQ | (celery or {}))
        outbox.configure(app)
        only(**consumer or {})
        found: list[CheckMessage] = (check_deployment if deploy else check_settings)()
        assert all(message.hint for message in found)
        return {str(message.id).removeprefix("outbox.") for message in found}

    yield check
    queues.use(project)


@pytest.mark.parametrize("deploy", [False, True])
def test_a_host_that_is_well_set_up_hears_nothing(look: Any, deploy: bool) -> None:
    assert look(deploy=deploy) == set()


def test_sqlite_for_trying_out_is_well_set_up_too(look: Any) -> None:
    assert look(database=SQLITE, celery={"broker_url": "outbox-files://"}) == set()


@pytest.mark.parametrize(
    ("database", "packages", "found"),
    [
        (POOLED, {"psycopg", "psycopg_pool"}, set()),
        ({**POOLED, "CONN_MAX_AGE": 0}, {"psycopg", "psycopg_pool"}, set()),
        ({**POOLED, "CONN_MAX_AGE": 60}, {"psycopg", "psycopg_pool"}, {"E010"}),
        ({**POOLED, "CONN_MAX_AGE": None}, {"psycopg", "psycopg_pool"}, {"E010"}),
        (POOLED, {"psycopg"}, {"E009"}),
        (POOLED, {"psycopg_pool"}, {"E009"}),
        (changed(POSTGRESQL, server_side_binding=True), set(), set()),
        (changed(POSTGRESQL, server_side_binding=True, prepare_threshold=1), set(), set()),
    ],
)
def test_a_pool_needs_psycopg_3_and_keeps_the_connections_alone(
    look: Any, monkeypatch: pytest.MonkeyPatch, database: dict[str, Any], packages: set[str], found: Found
) -> None:
    monkeypatch.setattr(database_checks, "find_spec", lambda name: name if name in packages else None)

    assert look(database=database) == found


def test_a_host_s_own_backend_on_postgresql_is_postgresql(look: Any) -> None:
    """Also where its name does not say so."""
    assert look(database={**POSTGRESQL, "ENGINE": "tests.outbox.checks.counting_backend"}) == set()


@pytest.mark.parametrize(("id", "host"), UNSAFE)
def test_what_is_unsafe_is_found_and_nothing_else(look: Any, id: str, host: dict[str, Any]) -> None:
    assert look(**host) == {id}


@pytest.mark.parametrize(("id", "host"), UNSAFE_AND_THE_ENGINES_OWN)
def test_what_is_the_engine_s_own_and_unsafe_is_named_for_both(look: Any, id: str, host: dict[str, Any]) -> None:
    assert look(**host) == {id, "W060"}


@pytest.mark.parametrize(("id", "host"), UNSAFE_WHEN_DEPLOYED)
def test_what_is_unsafe_when_deployed_is_found_only_then(look: Any, id: str, host: dict[str, Any]) -> None:
    assert look(deploy=True, **host) == {id}
    assert look(deploy=False, **host) == set()


@pytest.mark.parametrize("host", FINE)
def test_what_is_fine_is_left_alone(look: Any, host: dict[str, Any]) -> None:
    assert look(**host) == set()


@pytest.mark.parametrize("host", FINE_WHEN_DEPLOYED)
def test_what_is_fine_when_deployed_is_left_alone(look: Any, host: dict[str, Any]) -> None:
    assert look(deploy=True, **host) == set()


@pytest.mark.parametrize("name", WHY_NEEDED)
def test_a_needed_setting_that_the_host_has_turned_off_is_found(look: Any, name: str) -> None:
    off = {True: False, False: True, None: 3}.get(NEEDED.get(name, 1), 0)

    assert look(celery={name: off}) == {"W003"}


@needs_beat_tables
def test_local_times_that_beat_would_read_as_utc_are_found(look: Any) -> None:
    assert look(USE_TZ=False) == {"W010", "W047"}


def test_without_beat_s_tables_local_times_are_read_by_nobody(look: Any) -> None:
    assert look(USE_TZ=False, INSTALLED_APPS=[name for name in APPS if name != "django_celery_beat"]) == {"W010"}


def test_every_needed_setting_says_what_it_is_needed_for() -> None:
    assert set(WHY_NEEDED) == {*NEEDED, REUSE}


@pytest.mark.parametrize("kind", ["control", "event"])
@pytest.mark.parametrize("both", [True, False])
def test_a_queue_of_celery_s_that_no_worker_could_have_is_found(look: Any, kind: str, both: bool) -> None:
    given = {f"{kind}_queue_durable": both, f"{kind}_queue_exclusive": both}

    assert look(celery=given) == {"W003"}
    assert look(celery=given | {"broker_url": "outbox-files://"}) == set()


@pytest.mark.parametrize("name", ["control_queue_exclusive", "event_queue_durable"])
def test_a_queue_of_celery_s_that_every_rabbitmq_takes_is_not_found(look: Any, name: str) -> None:
    assert look(celery={name: True}) == set()


@pytest.mark.parametrize("name", ["control_queue_durable", "event_queue_exclusive", *NEEDED])
def test_a_celery_too_old_to_know_a_needed_setting_is_found(
    look: Any, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setattr(
        celery_checks, "DEFAULTS", {each: None for each in [*KNOWN_TO_CELERY, *DEFAULTS] if each != name}
    )

    assert look() == {"W003"}


def test_a_host_without_consumers_is_told_how_to_write_one(look: Any, only: Any) -> None:
    look()
    only.clear()

    [message] = check_settings()

    assert message.id == "outbox.W018"
    assert "consumers.py" in str(message.hint)


def test_all_wrong_settings_of_ours_are_told_at_once(look: Any) -> None:
    look()

    with override_settings(OUTBOX={"LEASE": 3, "PREFIX": "a b", "PREFIXX": "a"}):
        found = [str(message.msg) for message in check_settings()]
        deployed = check_deployment()

    assert [text.split(" must")[0].split(";")[0] for text in found] == [
        "OUTBOX has unknown keys ['PREFIXX']",
        'OUTBOX["LEASE"]',
        'OUTBOX["PREFIX"]',
    ]
    assert deployed == []


@pytest.fixture
def declare() -> Iterator[Callable[..., None]]:
    yield outbox.declare_topics
    registry.forget_topics()


def test_where_wildcards_are_used_declaring_topics_is_suggested(look: Any, only: Any, declare: Any) -> None:
    look()
    only.clear()
    consumer("test.#", name="test.sell")(lambda message: None)

    before = [message.id for message in check_deployment()]
    declare("test.sold")
    after = [message.id for message in check_deployment()]

    assert ("outbox.I003" in before, "outbox.I003" in after) == (True, False)
    assert check_settings() == []


def test_what_an_operator_could_never_take_back_is_found(look: Any) -> None:
    def follow(closings: Any) -> None: ...

    assert look(consumer={"on_handled": follow}) == {"W033"}
    assert look(consumer={"on_handled": follow, "on_reopened": follow}) == set()


def test_a_hook_whose_app_is_written_to_another_database_is_found(look: Any) -> None:
    def follow(closings: Any) -> None: ...

    follow.__module__ = "django.contrib.auth.models"
    hooks = {"on_handled": follow, "on_reopened": follow}

    assert look(consumer=hooks) == set()
    assert look(consumer=hooks, DATABASE_ROUTERS=[UsersElsewhere()]) == {"E012"}


def test_a_consumer_of_no_declared_topic_is_found(look: Any, declare: Any) -> None:
    declare("test.bought")

    assert look() == {"W026"}


@pytest.mark.services
@pytest.mark.django_db
def test_a_broker_that_lets_nobody_in_is_warned_of_before_anything_has_rescanned(monkeypatch):
    wrong = queues.celery_app().conf.broker_write_url.replace("guest:guest", "guest:wrong")
    monkeypatch.setitem(queues.celery_app().conf, "broker_write_url", wrong)

    [warning] = check_queues()

    assert warning.id == "outbox.W031"
    assert "password" in str(warning.msg)
