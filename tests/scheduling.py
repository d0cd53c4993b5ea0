"""Which tests run on the same one of pytest's workers, and in which order they are begun.

The tests of a file may share processes, and those of some files do: they stay together, so that what is shared is
started once. What takes longest is begun first, so that no worker is left with it at the end.
"""

from collections.abc import Sequence

import pytest
from xdist.scheduler import LoadFileScheduling

FAULTS = "tests/system/faults/"
SHARING = {
    "an installation": [f"{FAULTS}test_{name}.py" for name in ("database", "delivery", "hangs", "poison", "stops")],
    "a node": [f"{FAULTS}test_{name}.py" for name in ("broker", "outages")],
    # One holds a snapshot for as long as a test takes, and the others count pages while nobody does.
    "the server's oldest transaction": [
        "tests/outbox/delivery/test_low_water.py",
        "tests/outbox/delivery/test_order_costs.py",
        "tests/outbox/external/receipts/test_costs.py",
    ],
}
"""The files whose tests use one fixture of their folder, or wait for each other's transactions, by what that is."""

LONGEST_FIRST = [
    "tests/system/processes/test_demo.py",
    "an installation",
    "tests/docs/test_followed.py",
    f"{FAULTS}test_broker_watched.py",
    "a node",
    "tests/system/browser/test_one_night.py",
    f"{FAULTS}test_cluster.py",
    "tests/docs/test_pages.py",
    "tests/system/browser/test_messages.py",
    "tests/awards/admin/test_in_a_browser.py",
]
"""What takes minutes, in this order: files, and what files share. The others that wait for processes follow."""

_SHARED = {file: shared for shared, files in SHARING.items() for file in files}


def unit_of(nodeid: str) -> str:
    """Return the name of what runs on one worker: a file, or what several share."""
    file = nodeid.partition("::")[0]
    return _SHARED.get(file, file)


def order(items: Sequence[pytest.Item]) -> list[pytest.Item]:
    """Return the tests with those first that take longest, and then those that wait for processes and pages."""
    slow = {unit_of(item.nodeid) for item in items if _waits(item)}
    place = {unit: number for number, unit in enumerate(LONGEST_FIRST)}

    def rank(item: pytest.Item) -> tuple[int, bool]:
        unit = unit_of(item.nodeid)
        return place.get(unit, len(place)), unit not in slow

    return sorted(items, key=rank)


def _waits(item: pytest.Item) -> bool:
    return bool(item.get_closest_marker("processes") or item.get_closest_marker("browser"))


class Together(LoadFileScheduling):
    """Gives a worker one file after another, or one after another of what several files share."""

    def _split_scope(self, nodeid: str) -> str:
        return unit_of(nodeid)
