"""What a line of the log looks like, the same in web, workers, beat and ``manage.py``.

``2026-01-31T12:00:00.123Z INFO 4711 awards.channels message=17 attempt=2 consumer=awards.order_gift | ordered``: the
time in UTC, the process id, the logger, what the line is about (``outbox.logs``), the text.
"""

import logging
import time
from typing import Any

WRITTEN_OUT = {code: f"\\x{code:02x}" for code in (*range(0x20), *range(0x7F, 0xA0)) if code != ord("\t")}
"""The control characters that do not end a line."""


class Lines(logging.Formatter):
    """Times in UTC; a text of several lines has what it is about in front of each, so none can pose as another.

    What a terminal obeys, or makes a tool take the log for no text, is written out: a NUL is ``\\x00``.
    """

    converter = staticmethod(time.gmtime)
    default_time_format = "%Y-%m-%dT%H:%M:%S"
    default_msec_format = "%s.%03dZ"

    def format(self, record: logging.LogRecord) -> str:
        """Return the record as one line, or as one and its continuations."""
        first, *others = (line.translate(WRITTEN_OUT) for line in super().format(record).splitlines())
        return "\n".join([first, *(f"  {record.__dict__['outbox']} | {line}" for line in others)])


def logging_from(level: str) -> dict[str, Any]:
    """Return the ``LOGGING`` that writes everything from ``level`` on to the standard error output."""
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "filters": {"outbox": {"()": "outbox.logs.MessageFilter"}},
        "formatters": {
            "lines": {
                "()": "config.logs.Lines",
                "format": "%(asctime)s %(levelname)s %(process)d %(name)s %(outbox)s | %(message)s",
            }
        },
        "handlers": {
            "console": {
                "class": "logging.StreamHandler",
                # Not sys.stderr, which workers turn into a logger.
                "stream": "ext://sys.__stderr__",
                "filters": ["outbox"],
                "formatter": "lines",
            }
        },
        "root": {"handlers": ["console"], "level": level},
        "loggers": {
            "gunicorn.error": {"level": "INFO", "handlers": [], "propagate": True},
            "gunicorn.access": {"level": "INFO", "handlers": [], "propagate": True},
            # Celery's pool, whose logger never propagates: it tells of children that were killed.
            "multiprocessing": {"level": "ERROR", "handlers": ["console"], "propagate": False},
        },
    }
