"""How gunicorn serves, however it is started: ``make up``, ``make demo``, compose and systemd all read this file.

Threads, as unlike the faster servers this worker lets a process send its last hints when it ends.
"""

import gc
import logging
import os
from pathlib import Path
from typing import Any

from config.logs import logging_from

wsgi_app = "config.wsgi"
worker_class = "gthread"
threads = 4

graceful_timeout = 20
"""Seconds that requests under way have when the server is told to stop; supervisors wait a little longer."""
max_requests = 50_000
"""After so many a process finishes what it has and is replaced, which bounds what a leak can take."""
max_requests_jitter = 5_000
worker_tmp_dir = "/dev/shm" if Path("/dev/shm").is_dir() else None  # noqa: S108  # heartbeats must not wait for a disk
control_socket_disable = True

logging.captureWarnings(True)
logconfig_dict = logging_from(os.environ.get("LOG_LEVEL", "WARNING"))
access_log_format = '%(h)s "%(m)s %(U)s" %(s)s %(B)s bytes %(M)s ms'
"""Without the query string, in which the desk's searches name people."""


def post_worker_init(_worker: Any) -> None:
    """Have the garbage collector leave what was imported alone: going through all of it stops a request for 80 ms."""
    gc.collect()
    gc.freeze()
