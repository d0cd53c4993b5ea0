"""The engine without failure groups, for one consumer: what grouping costs is the difference."""

from collections.abc import Mapping

from outbox.delivery import execution
from outbox.failures import counting
from outbox.failures.fingerprint import Fingerprint

_UNKNOWN = Fingerprint("0" * 64, "", "", "", "")
_fingerprint, _note = execution.fingerprint, counting.count_failures


def spare(name: str) -> None:
    """Make no fingerprints of the failures of consumer ``name``, and count none of them, in this process."""

    def fingerprint(consumer: str, error: BaseException) -> Fingerprint:
        return _UNKNOWN if consumer == name else _fingerprint(consumer, error)

    def note(failures: Mapping[Fingerprint, int]) -> None:
        counted = {failure: many for failure, many in failures.items() if failure is not _UNKNOWN}
        if counted:
            _note(counted)

    execution.fingerprint = fingerprint
    counting.count_failures = note
