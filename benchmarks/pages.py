"""The desk's first page and the metrics over a million rows: ``python benchmarks/pages.py``.

Gunicorn serves with the arguments and settings of ``make up``, the chores run, and most of a million messages are
finished, 100,000 exhausted and some unfinished. One client asks for one page after the other, over a connection that
stays open, as a browser and a scraper do.
"""

import argparse
import subprocess
import sys
import time
from pathlib import Path

import httpx

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from benchmarks.depot import history, rig
from benchmarks.depot.rig import Rig, Verdict
from benchmarks.measuring import quantile
from tests.harness.program import Program

# isort: split
from django.contrib.auth import BACKEND_SESSION_KEY, HASH_SESSION_KEY, SESSION_KEY
from django.contrib.auth.models import User
from django.contrib.sessions.backends.db import SessionStore

from benchmarks.outage import free_port
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
KINDS = 8
"""Kinds of failures of each consumer."""


def main() -> None:
    """Write a million messages, serve them, ask, and judge."""
    parser = argparse.ArgumentParser(description="Measure the desk's first page and the metrics.")
    parser.add_argument("--rows", type=int, default=1_000_000, help="messages (default 1000000)")
    parser.add_argument("--requests", type=int, default=200, help="of each page (default 200)")
    parser.add_argument("--quick", action="store_true", help="50000 messages, 50 requests")
    options = parser.parse_args()
    rows, requests = (50_000, 50) if options.quick else (options.rows, options.requests)

    with rig.running() as installation:
        began = time.monotonic()
        fill(rows)
        rig.say("written", **counted(), seconds=round(time.monotonic() - began, 1))
        installation.control()
        installation.beat()
        address, web = serve(installation)
        with client(address) as browser:
            verdicts = [verdict for page in PAGES for verdict in ask(browser, web, page, requests)]
    rig.judge(verdicts)


def fill(rows: int) -> None:
    """Write what two busy days leave behind: one in ten failed for good, one in a hundred is still waiting."""
    days = {"oldest": DAYS * 86_400, "span": DAYS * 86_400 - 60, "topic": "award.won.points", "consumers": CONSUMERS}
    history.write(history.FINISHED, rows=rows * 89 // 100, name="done", **days)
    history.write(history.EXHAUSTED, rows=rows // 10, name="stuck", kinds=KINDS, **days)
    history.write(history.UNFINISHED, rows=rows // 100, name="new", **days)
    history.write(history.ATTEMPTS, name="done")
    history.write(history.ATTEMPTS, name="stuck")
    history.write(history.GROUPS, history.COUNTS)
    history.tidy_up()
    while rollup.roll_up().behind:
        pass


def counted() -> dict[str, int]:
    """Return what the table holds."""
    return {
        "messages": Message.objects.count(),
        "exhausted": Message.objects.exhausted().count(),
        "unfinished": Message.objects.unfinished().count(),
        "groups": FailureGroup.objects.count(),
    }


def serve(installation: Rig) -> tuple[str, Program]:
    """Start gunicorn as ``make up`` does and return its address and the program."""
    address = f"127.0.0.1:{free_port()}"
    settings = {
        "DJANGO_SETTINGS_MODULE": "benchmarks.depot.web",
        "STATE_DIR": str(installation.folder),
        "BEHIND_TLS_PROXY": "1",
    }
    collect = [sys.executable, "manage.py", "collectstatic", "--noinput", "--verbosity", "0"]
    subprocess.run(collect, env={**installation.environment, **settings}, check=True)
    web = roles.web(bind=address)
    return f"http://{address}", installation.program("web", web.argv, says=web.ready, **settings)


def client(url: str) -> httpx.Client:
    """Return a client that is logged in and comes through a proxy that ends TLS, as far as the server can tell."""
    user = User.objects.create_superuser("operator")
    session = SessionStore()
    session[SESSION_KEY] = str(user.pk)
    session[BACKEND_SESSION_KEY] = "django.contrib.auth.backends.ModelBackend"
    session[HASH_SESSION_KEY] = user.get_session_auth_hash()
    session.save()
    headers = {"X-Forwarded-Proto": "https", "Cookie": f"sessionid={session.session_key}"}
    return httpx.Client(base_url=url, headers=headers, timeout=30)


def ask(browser: httpx.Client, web: Program, page: str, requests: int) -> list[Verdict]:
    """Ask for one page again and again and judge how long the answers took."""
    first = timed(browser, page)
    for _ in range(10):
        timed(browser, page)
    worked = rig.cpu_seconds(web)
    times = [timed(browser, page) for _ in range(requests)]
    worked = (rig.cpu_seconds(web) - worked) / requests * 1e3
    middle, most = quantile(times, 0.5), quantile(times, 0.95)
    figures = {"first": first, "p50": middle, "p95": most, "most": max(times), "web_cpu_ms": worked}
    rig.say(page, requests=requests, **{name: round(value, 1) for name, value in figures.items()})
    return [
        Verdict(f"{page} p50", f"<= {AT_MOST:.0f} ms", f"{middle:.1f} ms", middle <= AT_MOST),
        Verdict(f"{page} p95", f"<= {AT_MOST:.0f} ms", f"{most:.1f} ms", most <= AT_MOST),
    ]


def timed(browser: httpx.Client, page: str) -> float:
    """Return how many milliseconds one answer took, body included; end the run if it is not the page."""
    began = time.perf_counter()
    answer = browser.get(page)
    took = (time.perf_counter() - began) * 1e3
    if answer.status_code != httpx.codes.OK or PAGES[page] not in answer.text:
        raise SystemExit(f"{page} answered {answer.status_code}: {answer.text[:300]}")
    return took


if __name__ == "__main__":
    main()
