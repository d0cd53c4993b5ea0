"""The environment of a clone: what ``make demo`` sets before Django reads its settings.

``python -m config.demo.clone demo`` runs ``manage.py demo`` in it, and any other command of ``manage.py``
likewise, to look at what a demo left behind. What the environment says already stays as it is.
"""

import os
import secrets
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

from config.processes import command_line
from config.processes.arguments import WITHOUT_TLS, free_port

ROOT = Path(__file__).resolve().parent.parent.parent


def environment(given: Mapping[str, str]) -> dict[str, str]:
    """Return what to add to ``given``: a key and a prefix that are this clone's own, and what suits a demo.

    With ``DATABASE_URL`` the demo runs on real services, without it on SQLite and files.
    """
    state = Path(given.get("STATE_DIR") or ROOT / ".makegood")
    state.mkdir(parents=True, exist_ok=True)
    vendor = f"http://127.0.0.1:{free_port()}"
    wanted = {
        "DJANGO_SETTINGS_MODULE": "config.settings",
        "STATE_DIR": str(state),
        "SECRET_KEY": kept_secret(state / "secret-key", lambda: secrets.token_urlsafe(64)),
        "OUTBOX_PREFIX": kept_secret(state / "prefix", lambda: f"demo-{secrets.token_hex(4)}"),
        "VENDOR_URL": vendor,
        "VENDOR_CONNECT_TIMEOUT": "1",
        "VENDOR_TIMEOUT": "2",
        "SMS_URL": "" if given.get("VENDOR_URL") else vendor,  # the practice vendor sends text messages as well
        "SMS_ALLOWED_HOSTS": "127.0.0.1",
        "SMS_CONNECT_TIMEOUT": "1",
        "SMS_TIMEOUT": "2",
        "WEBHOOK_ALLOWED_HOSTS": "127.0.0.1,localhost",
        "EMAIL_BACKEND": "django.core.mail.backends.filebased.EmailBackend",
        "EMAIL_FILE_PATH": str(state / "mail"),
    }
    if given.get("DATABASE_URL"):
        # The demo's pages are served without TLS, on this machine only.
        wanted |= WITHOUT_TLS
    else:
        wanted["EMBEDDED"] = "1"
    return {name: value for name, value in wanted.items() if not given.get(name)}


def kept_secret(path: Path, make: Callable[[], str]) -> str:
    """Return what the file holds; the first time it is made, readable by its owner only."""
    try:
        with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
            file.write(make())
    except FileExistsError:
        return path.read_text().strip()
    return path.read_text().strip()


def enter() -> None:
    """Make this process's environment the clone's; ends it with a sentence if the state cannot be kept."""
    try:
        os.environ.update(environment(os.environ))
    except OSError as error:
        sys.exit(f"The demo cannot keep its state: {error}. Name a folder that it may write to in STATE_DIR.")


if __name__ == "__main__":
    os.chdir(ROOT)
    enter()
    command_line.execute(["manage.py", *sys.argv[1:]])
