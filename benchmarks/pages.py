"""Every page of the desk, and the metrics, over a million messages: ``python benchmarks/pages.py``.

Gunicorn serves with the arguments and settings of ``make up``, the maintenance jobs run, and most of a million messages
are finished, 100,000 exhausted and some unfinished, of 30 consumers. One client asks for one page after the other, over
a connection that stays open, as a browser and a scraper do. The statements of each page are counted in this process.
"""

import argparse
import re
import subprocess
import sys
import time
from pathlib import Path

import httpx

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from benchmarks.app import harness, history
from benchmarks.app.harness import Check, Harness
from benchmarks.environment import free_port
from benchmarks.measurements import quantile
from tests.harness.program import Program

# isort: split
from django.contrib.admin.utils import quote
from django.contrib.auth import BACKEND_SESSION_KEY, HASH_SESSION_KEY, SESSION_KEY
from django.contrib.auth.models import User
from django.contrib.sessions.backends.db import SessionStore
from django.db import connection
from django.test import Client, override_settings
from django.test.utils import CaptureQueriesContext

from config.processes import roles
from outbox.admin.messages.listing import ROWS_PER_PAGE
from outbox.maintenance import rollup
from outbox.models import FailureGroup, Message

TABS = ("failed", "pending", "started", "success", "handled", "discarded", "overdue", "all")
QUEUE, GROUPS = "/admin/outbox/message/", "/admin/outbox/failuregroup/"
LEDGERS = ("award", "draw", "pointsaccount", "pointsentry", "vendororder")
JUDGED = {"/metrics": "outbox_messages{", "/admin/": "Operations", "/admin/outbox/": "Operations"}
"""The pages whose time is required, and what must stand in the answer."""
AT_MOST = 100.0
"""Milliseconds within which those must answer."""
STATEMENTS_AT_MOST = 12
PAGES_DOWN = 100
"""How far down the queue is looked into: the page after so many."""
DAYS = 2
OTHERS = 25
"""Consumers beside those of the awards."""
CONSUMERS = [
    "awards.issue_points",
    "awards.order_gift",
    "awards.hand_out_coupon",
    "awards.tell_winner",
    "awards.count_win",
    *(f"bench.consumer_{number:02}" for number in range(OTHERS)),
]
FAILURE_GROUPS = 8
"""Of each consumer."""


def main() -> None:
    """Write a million messages, serve them, request pages, and check the times."""
    parser = argparse.ArgumentParser(description="Measure the desk's first page and the metrics.")
    parser.add_argument("--rows", type=int, default=1_000_000, help="messages (default 1000000)")
    parser.add_argument("--requests", type=int, default=200, help="of each page (default 200)")
    parser.add_argument("--quick", action="store_true", help="50000 messages, 50 requests")
    options = parser.parse_args()
    rows, requests = (50_000, 50) if options.quick else (options.rows, options.requests)

    with harness.running() as installation:
        began = time.monotonic()
        write_messages(rows)
        harness.print_result("written", **count_rows(), seconds=round(time.monotonic() - began, 1))
        installation.control()
        installation.beat()
        address, web = serve(installation)
        with log_in(address) as browser:
            checks = [check for page in JUDGED for check in measure_page(browser, web, page, requests)]
            checks += [measure_once(browser, page) for page in every_page()]
    harness.report_checks(checks)


def every_page() -> list[str]:
    """Return the address of every page: each tab, filter, span, depth and search, and a row of each kind."""
    failed = Message.objects.exhausted().latest("id")
    some = Message.objects.exhausted().filter(consumer=CONSUMERS[1]).earliest("id")
    down = min(PAGES_DOWN * ROWS_PER_PAGE, Message.objects.exhausted().count() // 2)
    deep = Message.objects.exhausted().order_by("-id")[down]
    return [
        *(f"{QUEUE}?tab={tab}" for tab in TABS),
        *(f"{QUEUE}?tab={tab}&consumer={CONSUMERS[1]}" for tab in TABS),
        *(f"{QUEUE}?tab={tab}&within=24h" for tab in TABS),
        f"{QUEUE}?tab=failed&group={some.failure}",
        f"{QUEUE}?tab=failed&after={deep.pk}",
        f"{QUEUE}?tab=failed&before={deep.pk}",
        f"{QUEUE}?tab=all&after={failed.pk // 2}",
        *(f"{QUEUE}?q={text}" for text in (failed.key, failed.pk, "nobody@example.com")),
        f"{QUEUE}arrivals/?since={failed.exhausted_at:%Y-%m-%dT%H:%M:%SZ}",
        f"{QUEUE}{failed.pk}/change/",
        f"{QUEUE}{Message.objects.earliest('id').pk}/change/",
        *(f"{GROUPS}?tab={tab}" for tab in ("open", "ignored", "fixed", "all")),
        f"{GROUPS}?consumer={CONSUMERS[1]}",
        f"{GROUPS}{some.failure}/change/",
        "/admin/outbox/consumerstate/",
        f"/admin/outbox/consumerstate/{quote(CONSUMERS[1])}/change/",
        "/admin/outbox/auditentry/",
        *(
            f"/admin/outbox/auditentry/?{given}"
            for given in ("actor=ada", "act=retry", "about=7", "reason=x", "within=24h")
        ),
        "/admin/outbox/heartbeat/",
        "/admin/awards/campaign/",
        "/admin/awards/prize/",
        "/admin/awards/coupon/",
        *(f"/admin/awards/{ledger}/" for ledger in LEDGERS),
        *(f"/admin/awards/{ledger}/?q=nobody@example.com" for ledger in LEDGERS),
    ]


def write_messages(rows: int) -> None:
    """Write what two busy days leave behind: one in ten failed for good, one in a hundred is still waiting."""
    days: dict[str, history.Value] = {
        "oldest": DAYS * 86_400,
        "span": DAYS * 86_400 - 60,
        "topic": "award.won.points",
        "consumers": CONSUMERS,
    }
    history.write_rows(history.FINISHED, rows=rows * 89 // 100, name="done", **days)
    history.write_rows(history.EXHAUSTED, rows=rows // 10, name="stuck", groups=FAILURE_GROUPS, **days)
    history.write_rows(history.UNFINISHED, rows=rows // 100, name="new", **days)
    history.write_rows(history.ATTEMPTS, name="done")
    history.write_rows(history.ATTEMPTS, name="stuck")
    history.write_rows(history.GROUPS, history.COUNTS)
    history.vacuum()
    while rollup.roll_up().behind:
        pass


def count_rows() -> dict[str, int]:
    """Return what the table holds."""
    return {
        "messages": Message.objects.count(),
        "exhausted": Message.objects.exhausted().count(),
        "unfinished": Message.objects.unfinished().count(),
        "groups": FailureGroup.objects.count(),
    }


def serve(installation: Harness) -> tuple[str, Program]:
    """Start gunicorn as ``make up`` does and return its address and the program."""
    address = f"127.0.0.1:{free_port()}"
    settings = {
        "DJANGO_SETTINGS_MODULE": "benchmarks.app.web_settings",
        "STATE_DIR": str(installation.folder),
        "BEHIND_TLS_PROXY": "1",
    }
    collect = [sys.executable, "manage.py", "collectstatic", "--noinput", "--verbosity", "0"]
    subprocess.run(collect, env={**installation.environment, **settings}, check=True)
    web = roles.web(bind=address)
    return f"http://{address}", installation.program("web", web.argv, says=web.ready, **settings)


def log_in(url: str) -> httpx.Client:
    """Return a client that is logged in and comes through a proxy that ends TLS, as far as the server can tell."""
    user = User.objects.create_superuser("operator")
    session = SessionStore()
    session[SESSION_KEY] = str(user.pk)
    session[BACKEND_SESSION_KEY] = "django.contrib.auth.backends.ModelBackend"
    session[HASH_SESSION_KEY] = user.get_session_auth_hash()
    session.save()
    headers = {"X-Forwarded-Proto": "https", "Cookie": f"sessionid={session.session_key}"}
    return httpx.Client(base_url=url, headers=headers, timeout=30)


def measure_page(browser: httpx.Client, web: Program, page: str, requests: int) -> list[Check]:
    """Request one page again and again and check how long the answers took."""
    first = time_request(browser, page)
    for _ in range(10):
        time_request(browser, page)
    cpu_seconds = harness.cpu_seconds(web)
    times = [time_request(browser, page) for _ in range(requests)]
    cpu_seconds = (harness.cpu_seconds(web) - cpu_seconds) / requests * 1e3
    middle, most = quantile(times, 0.5), quantile(times, 0.95)
    figures = {"first": first, "p50": middle, "p95": most, "most": max(times), "web_cpu_ms": cpu_seconds}
    harness.print_result(page, requests=requests, **{name: round(value, 1) for name, value in figures.items()})
    return [
        Check(f"{page} p50", f"<= {AT_MOST:.0f} ms", f"{middle:.1f} ms", middle <= AT_MOST),
        Check(f"{page} p95", f"<= {AT_MOST:.0f} ms", f"{most:.1f} ms", most <= AT_MOST),
    ]


def measure_once(browser: httpx.Client, page: str) -> Check:
    """Request a page some times, count its statements in this process, and check their number."""
    times = [time_request(browser, page) for _ in range(5)]
    statements = count_statements(page)
    harness.print_result(page, first=round(times[0], 1), p50=round(quantile(times, 0.5), 1), statements=statements)
    return Check(
        page,
        f"<= {STATEMENTS_AT_MOST}",
        f"{statements}, {quantile(times, 0.5):.1f} ms",
        statements <= STATEMENTS_AT_MOST,
    )


def count_statements(page: str) -> int:
    """Return how many statements a page runs, apart from where transactions begin and end."""
    client = Client(headers={"X-Forwarded-Proto": "https"})
    client.force_login(User.objects.get(username="operator"))
    with override_settings(SECURE_SSL_REDIRECT=False, ALLOWED_HOSTS=["*"]):
        client.get(page)
        with CaptureQueriesContext(connection) as queries:
            client.get(page)
    return sum(not re.match(r"(RELEASE )?SAVEPOINT|BEGIN|COMMIT", query["sql"]) for query in queries)


def time_request(browser: httpx.Client, page: str) -> float:
    """Return how many milliseconds one answer took, body included; end the run if it is not the page."""
    began = time.perf_counter()
    answer = browser.get(page)
    milliseconds = (time.perf_counter() - began) * 1e3
    if answer.status_code != httpx.codes.OK or JUDGED.get(page, "") not in answer.text:
        raise SystemExit(f"{page} answered {answer.status_code}: {answer.text[:300]}")
    return milliseconds


if __name__ == "__main__":
    main()
