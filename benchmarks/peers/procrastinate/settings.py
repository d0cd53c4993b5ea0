"""procrastinate's Django contrib as its guide has it, with psycopg 3 in C, LISTEN/NOTIFY on and connections kept.

Two worker processes of concurrency 4: its tasks are synchronous functions, which run in threads, and while one runs the
next is fetched and the last is settled. 16 was no faster, 1 was slower.
"""

from benchmarks.peers.base import *  # noqa: F403
from benchmarks.peers.base import INSTALLED_APPS

INSTALLED_APPS = ["procrastinate.contrib.django", *INSTALLED_APPS]
PROCRASTINATE_IMPORT_PATHS = ["benchmarks.peers.procrastinate.tasks"]
