"""The engine without failure groups, for one consumer: what grouping costs is the difference."""

from collections.abc import Mapping
from unittest import mock

from outbox.delivery import execution
from outbox.failures import counting
from outbox.failures.counting import count_failures
from outbox.failures.fingerprint import Fingerprint, fingerprint

_UNKNOWN = Fingerprint("0" * 64, "", "", "", "")


def disable_failure_groups(name: str) -> None:
    """Make no fingerprints of the failures of consumer ``name``, and count none of them, in this process."""

    def fingerprint_of_others(consumer: str, error: BaseException) -> Fingerprint:
        return _UNKNOWN if consumer == name else fingerprint(consumer, error)

    def count_failures_of_others(failures: Mapping[Fingerprint, int]) -> None:
        others = {failure: many for failure, many in failures.items() if failure is not _UNKNOWN}
        if others:
            count_failures(others)

    mock.patch.object(execution, "fingerprint", fingerprint_of_others).start()
    mock.patch.object(counting, "count_failures", count_failures_of_others).start()
