"""What Prometheus reads, and that the dashboard and the alert rules ask for nothing else."""

import json
import re
from math import inf
from pathlib import Path
from typing import Any

import pytest
from django.db.models.functions import Now
from kombu import Exchange
from prometheus_client.parser import text_string_to_metric_families

import outbox
from outbox import forward, receive, registry, sources
from outbox.broker.watching import BrokerLook, NodeSeen, QueueSeen
from outbox.external.ingest import tallies
from outbox.maintenance import rollup
from outbox.models import BookState, DeadLetter, Gap, Half, Message, MinuteStat, Places, SourceHold, WatchedStream
from outbox.monitoring.broker import note
from outbox.monitoring.metrics import exposition
from tests.harness.clock import HOUR, MINUTE, SECOND, database_time
from tests.harness.rows import BOOK, TAKE, all_is_well, attempt, rescanned, sales, set_consumer

BOUNDS = ("0.01", "0.025", "2.5", "5.0", "+Inf")
CALL = "shop.call"
INVOICES = "shop.invoices"
MONITORING = Path(outbox.__file__).parent / "monitoring"
FUNCTIONS = {
    *("max", "sum", "by", "on", "and", "unless", "rate", "increase", "absent", "histogram_quantile", "label_values"),
    *("min", "min_over_time", "consumer", "outcome", "status", "maintenance_job", "level", "le"),
    *("queue", "state", "node", "what", "resource", "reason", "check", "source", "hold", "book", "kind", "said"),
}


def scrape() -> dict[tuple[str, ...], float]:
    """Scrape and return every sample by its name and label values."""
    return {
        (sample.name, *(sample.labels[label] for label in sorted(sample.labels))): sample.value
        for family in text_string_to_metric_families(exposition().decode())
        for sample in family.samples
    }


@pytest.mark.django_db
def test_what_waits_and_what_holds_it_back_can_be_scraped():
    all_is_well()
    sales.pending(at=database_time() - 90 * SECOND)
    sales.failed()
    set_consumer(TAKE, paused_at=Now(), breaker="open")
    sales.pending(consumer="shop.gone")
    set_consumer("shop.gone", gone_since=Now() - 6 * MINUTE)

    samples = scrape()

    assert samples["outbox_messages", BOOK, "pending"] == 1
    assert samples["outbox_messages", BOOK, "started"] == 0
    assert samples["outbox_messages", BOOK, "failed"] == 1
    assert samples["outbox_oldest_age_seconds", BOOK] == pytest.approx(90, abs=5)
    assert [samples["outbox_paused", name] for name in (BOOK, TAKE)] == [0, 1]
    assert [samples["outbox_breaker_open", name] for name in (BOOK, TAKE)] == [0, 1]
    assert [samples["outbox_consumer_gone", name] for name in (BOOK, "shop.gone")] == [0, 1]
    assert samples["outbox_findings", "critical"] == 1


@pytest.mark.django_db
def test_the_places_of_calls_beside_each_other_and_the_keys_that_are_held_can_be_scraped():
    all_is_well()
    for worker, taken in (("host:1", 50), ("host:2", 3)):
        Places.objects.say(CALL, worker, width=50, taken=taken, stuck=1)
    sales.failed(ordering_key="anna")
    sales.pending(ordering_key="anna")

    samples = scrape()

    assert [samples[name, CALL] for name in ("outbox_places", "outbox_places_taken", "outbox_calls_given_up")] == [
        100,
        53,
        2,
    ]
    assert [samples["outbox_held_keys", name] for name in (BOOK, CALL)] == [1, 0]


@pytest.mark.django_db
def test_what_has_never_run_is_infinitely_old():
    never = scrape()
    rescanned(7 * SECOND, broker_away=True)
    seen = scrape()

    assert never["outbox_rescan_age_seconds",] == never["outbox_maintenance_job_age_seconds", "prune"] == inf
    assert seen["outbox_rescan_age_seconds",] == pytest.approx(7, abs=1)
    assert seen["outbox_rescan_limit_seconds",] == 15
    assert (never["outbox_broker_away",], seen["outbox_broker_away",]) == (0, 1)


@pytest.mark.django_db
def test_attempts_and_latencies_are_counters_over_all_time():
    then = database_time().replace(second=0, microsecond=0) - MINUTE
    sales.success(at=then, took=0.02 * SECOND)
    sales.success(at=then, took=3 * SECOND)
    attempt(sales.failed(at=then), outcome="lost", at=then)
    rollup.roll_up()

    samples = scrape()

    assert samples["outbox_attempts_total", BOOK, "success"] == 2
    assert samples["outbox_attempts_total", BOOK, "lost"] == 1
    assert samples["outbox_attempts_total", BOOK, "late"] == 0
    assert samples["outbox_exhausted_total", BOOK] == 1
    assert samples["outbox_latency_seconds_count", BOOK] == 2
    assert samples["outbox_latency_seconds_sum", BOOK] == pytest.approx(3.02)
    counts = {bound: samples["outbox_latency_seconds_bucket", BOOK, bound] for bound in BOUNDS}
    assert counts == {"0.01": 0, "0.025": 1, "2.5": 1, "5.0": 2, "+Inf": 2}


@pytest.mark.django_db
def test_counters_do_not_fall_when_messages_are_pruned_and_minutes_forgotten():
    sales.success(at=database_time() - 2 * MINUTE)
    rollup.roll_up()
    before = scrape()["outbox_attempts_total", BOOK, "success"]

    Message.objects.all().delete()
    MinuteStat.objects.all().delete()
    rollup.roll_up()

    assert (before, scrape()["outbox_attempts_total", BOOK, "success"]) == (1, 1)


def names_in(expression: str) -> set[str]:
    """Return the metrics that a PromQL expression names, without its labels, functions and texts."""
    bare = re.sub(r'"[^"]*"|\{\{[^}]*\}\}|\[[^\]]*\]', " ", expression)
    words = set(re.findall(r"[a-zA-Z_][a-zA-Z0-9_]*", bare))
    return words - FUNCTIONS


def expressions_of_dashboard() -> list[str]:
    dashboard: dict[str, Any] = json.loads((MONITORING / "grafana.json").read_text())
    targets = [target["expr"] for panel in dashboard["panels"] for target in panel["targets"]]
    return [*targets, *(entry["definition"] for entry in dashboard["templating"]["list"] if "definition" in entry)]


def expressions_of_rules() -> list[str]:
    """Read the expressions without a YAML library: each follows ``expr:``, folded ones on the lines below."""
    rules = (MONITORING / "alerts.yml").read_text()
    return [
        " ".join(expression.removeprefix(">-").split())
        for expression in re.findall(r"expr: (.*?)\n +(?:for|labels):", rules, re.S)
    ]


def look_at_a_broker() -> None:
    """Note a look at a broker of which everything is known, and a dead letter."""
    queues = [QueueSeen("q", 1, 1, 1, True, 1, 1)]
    nodes = [NodeSeen("rabbit@a", True, 1, 1, False, 1, 1, False)]
    note(BrokerLook(queues=queues, nodes=nodes, management="http://r:15672"))
    DeadLetter.objects.create(digest="d" * 64, queue="q", reason="delivery_limit")


def wait_for_receipts(request: pytest.FixtureRequest) -> None:
    """Declare a forward that waits for the receipts of a partner, until the test is over."""
    forward(INVOICES, "shop.billed", exchange=Exchange("e"), receipt=MINUTE, receiver="partner")
    request.addfinalizer(lambda: registry.forget_consumer(INVOICES))
    request.addfinalizer(lambda: sources.forget_source("receipts-of-partner"))


@pytest.mark.django_db
def test_what_waits_for_a_receipt_can_be_scraped(request):
    all_is_well()
    sales.started()

    assert "outbox_receipts_awaited" not in {name for name, *_labels in scrape()}

    wait_for_receipts(request)
    sales.started(consumer=INVOICES)
    sales.pending(consumer=INVOICES)

    assert {sample: many for sample, many in scrape().items() if sample[0] == "outbox_receipts_awaited"} == {
        ("outbox_receipts_awaited", INVOICES): 1
    }


@pytest.mark.django_db
@pytest.mark.services
@pytest.mark.parametrize("expressions", [expressions_of_dashboard, expressions_of_rules])
def test_dashboard_and_rules_ask_only_for_metrics_that_exist(expressions, request):
    all_is_well()
    look_at_a_broker()
    receive("partner.events", topic="shop.sold", source="partner")
    request.addfinalizer(lambda: sources.forget_source("partner"))
    tallies.say("partner", SourceHold.BROKER)
    wait_for_receipts(request)
    sales.success(at=database_time() - 2 * MINUTE)
    rollup.roll_up()
    Half.objects.create(topic="shop.written", key="1", payload_json="{}", check_name="shop.check", check_at=Now())
    BookState.objects.create(name="sales", topic="test.sale", began_at=database_time(), read_until=database_time())
    watched = WatchedStream.objects.create(source="partner", stream="a/b", epoch="e", since=Now() - HOUR)
    Gap.objects.create(watched=watched, first=7, last=7, said="sent")
    exist = {name for name, *_labels in scrape()}

    asked = set().union(*map(names_in, expressions()))

    assert asked - exist == set()
    assert len(asked) >= 10


def test_the_dashboard_shows_what_other_systems_owe_us_and_we_owe_them():
    """What is missing there is looked for only when somebody asks."""
    shown = set().union(*map(names_in, expressions_of_dashboard()))

    assert shown >= {
        *("outbox_halves", "outbox_halves_overdue_seconds"),
        *("outbox_gaps", "outbox_silent_streams"),
        *("outbox_receipts_awaited", "outbox_receipts_total"),
        *("outbox_quarantined", "outbox_receiver_held", "outbox_receiver_age_seconds", "outbox_received_total"),
        *("outbox_book_differences", "outbox_book_age_seconds"),
    }


def test_every_rule_has_an_expression_a_severity_and_words():
    rules = re.split(r"\n {6}- alert: ", (MONITORING / "alerts.yml").read_text())[1:]

    assert len(rules) == len(expressions_of_rules()) >= 10
    for rule in rules:
        assert re.search(r"severity: (warning|critical)\n", rule)
        assert "summary: " in rule
        assert "description: " in rule


def test_panels_do_not_overlap():
    panels = [panel["gridPos"] for panel in json.loads((MONITORING / "grafana.json").read_text())["panels"]]
    cells = [
        (x, y) for at in panels for x in range(at["x"], at["x"] + at["w"]) for y in range(at["y"], at["y"] + at["h"])
    ]

    assert len(cells) == len(set(cells))
    assert max(x for x, _y in cells) < 24
