"""The desk's first page and the metrics over a million messages: ``python benchmarks/pages.py``.

Gunicorn serves with the arguments and settings of ``make up``, the maintenance jobs run, and most of a million messages
are finished, 100,000 exhausted and some unfinished. One client asks for one page after the other, over a connection
that stays open, as a browser and a scraper do.
"""

import argparse
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
from django.contrib.auth import BACKEND_SESSION_KEY, HASH_SESSION_KEY, SESSION_KEY
from django.contrib.auth.models import User
from django.contrib.sessions.backends.db import SessionStore

from config.processes import roles
from outbox.maintenance import rollup
from outbox.models import FailureGroup, Message

PAGES = {"/metrics": "outbox_messages{", "/admin/": "Operations", "/admin/outbox/": "Operations"}
"""What is asked for, and what must stand in the answer."""
AT_MOST = 100.0
"""Milliseconds within which a page must answer."""
DAYS = 2
CONSUMERS = [
    "awards.issue_points",
    "awards.order_gift",
    "awards.hand_out_coupon",
    "awards.tell_winner",
    "awards.count_win",
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
            checks = [check for page in PAGES for check in measure_page(browser, web, page, requests)]
    harness.report_checks(checks)


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


def time_request(browser: httpx.Client, page: str) -> float:
    """Return how many milliseconds one answer took, body included; end the run if it is not the page."""
    began = time.perf_counter()
    answer = browser.get(page)
    milliseconds = (time.perf_counter() - began) * 1e3
    if answer.status_code != httpx.codes.OK or PAGES[page] not in answer.text:
        raise SystemExit(f"{page} answered {answer.status_code}: {answer.text[:300]}")
    return milliseconds


if __name__ == "__main__":
    main()
