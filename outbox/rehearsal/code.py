"""Which code a rehearsal has called: a digest over the app of the consumer, as its files are now."""

import hashlib
import sys
from functools import lru_cache
from pathlib import Path

from django.apps import apps

from outbox.declared import Consumer

LEFT_OUT = frozenset({"migrations", "tests", "__pycache__"})
"""Folders of an app that no handler runs."""


def digest_of(consumer: Consumer) -> str:
    """Return 16 hex digits over the Python files of the consumer's app, or of its module where that is in no app.

    Other apps that the handler calls, packages and settings are not in it.
    """
    module = consumer.handler.__module__
    app = apps.get_containing_app_config(module)
    if app is not None:
        home = Path(app.path)
        files = [path for path in sorted(home.rglob("*.py")) if not LEFT_OUT.intersection(path.relative_to(home).parts)]
        return _digest(home, tuple((path, *_looks(path)) for path in files))
    file = Path(getattr(sys.modules.get(module), "__file__", None) or "")
    return _digest(file.parent, ((file, *_looks(file)),)) if file.is_file() else ""


def _looks(path: Path) -> tuple[int, int]:
    stat = path.stat()
    return stat.st_mtime_ns, stat.st_size


@lru_cache(maxsize=64)
def _digest(home: Path, files: tuple[tuple[Path, int, int], ...]) -> str:
    """Return the digest over names and contents; what files look like tells when it must be made anew."""
    sealed = hashlib.sha256()
    for path, _changed, _size in files:
        sealed.update(f"{path.relative_to(home)}\n".encode())
        sealed.update(hashlib.sha256(path.read_bytes()).digest())
    return sealed.hexdigest()[:16]
