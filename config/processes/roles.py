"""The processes of Makegood, each as the supervisor should run it."""

import os
import sys
from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from django.conf import settings

from awards import conf
from config.processes.supervisor import Role

GUNICORN = [sys.executable, "-m", "gunicorn", "--config", "config/gunicorn.py"]
MANAGE = [sys.executable, "manage.py"]
CELERY = [sys.executable, "-m", "celery", "-A", "config"]
QUIET = ["--without-gossip", "--without-mingle"]


def installation(options: Mapping[str, Any], *, web_env: Mapping[str, str] | None = None) -> list[Role]:
    """Return the five processes of an installation on real services, as ``add_process_arguments`` was answered.

    ``web_env`` is what web is told besides the environment.
    """
    return [
        worker(concurrency=options["concurrency"]),
        control(),
        beat(),
        receiver(),
        web(bind=options["bind"], workers=options["web_workers"], env=web_env),
    ]


def web(*, bind: str, workers: int = 2, env: Mapping[str, str] | None = None) -> Role:
    """Gunicorn, as ``config/gunicorn.py`` has it; its grace is a little longer than that of the requests under way.

    ``env`` is what it is told besides. Without Redis its processes share the rate of a flash sale, so each is told how
    many there are.
    """
    argv = [*GUNICORN, "--bind", bind, "--workers", str(workers)]
    shared = {"WEB_CONCURRENCY": os.environ.get("WEB_CONCURRENCY") or str(workers), **(env or {})}
    return Role("web", argv, ready="Listening at", env=shared, grace=timedelta(seconds=30))


def worker(*, concurrency: int, site_url: str = "") -> Role:
    """The worker on every queue but the engine's own chores: processes on real services, threads when embedded.

    Told to stop, it finishes what it holds, so its grace is longer than any consumer may take over a message.
    ``site_url`` is what its mails lead to, if it is not what the environment says.
    """
    pool = "threads" if settings.EMBEDDED else "prefork"
    argv = [*CELERY, "worker", "-n", _node("worker"), "-P", pool, "-c", str(concurrency), "-X", _control_queue()]
    env = {"SITE_URL": site_url} if site_url else {}
    return Role("worker", [*argv, *QUIET, "-l", "INFO"], ready=r"ready\.$", env=env, grace=timedelta(seconds=90))


def control() -> Role:
    """The worker of the engine's own chores, so that slow work never keeps the rescan waiting."""
    argv = [*CELERY, "worker", "-n", _node("control"), "-P", "solo", "-Q", _control_queue()]
    return Role("control", [*argv, *QUIET, "-l", "INFO"], ready=r"ready\.$", grace=timedelta(seconds=30))


def beat() -> Role:
    """Celery-beat, whose schedule stands in the database."""
    return Role("beat", [*CELERY, "beat", "--pidfile=", "-l", "INFO"], ready="beat: Starting")


def receiver() -> Role:
    """What takes in the messages of others; told to stop, it settles what was delivered to it."""
    return Role("receiver", [*MANAGE, "outbox_receiver"], ready="receiver ready", grace=timedelta(seconds=90))


def vendor(*, book: Path, seed: int) -> Role:
    """The vendor to practise on, at the address that the settings name; it fails now and then."""
    address = urlsplit(conf.vendor_settings().url)
    argv = [*MANAGE, "fake_vendor", "--host", str(address.hostname), "--port", str(address.port or 80)]
    argv += ["--book", str(book), "--seed", str(seed), "--delay", "0.05"]
    argv += ["--busy", "0.02", "--fail", "0.03", "--cut", "0.03", "--hang", "0.01", "--hang-seconds", "6"]
    return Role("vendor", argv, ready="fake vendor ready", last=True)


def _node(name: str) -> str:
    return f"{settings.OUTBOX['PREFIX']}-{name}@%h"


def _control_queue() -> str:
    return f"{settings.OUTBOX['PREFIX']}.control"
