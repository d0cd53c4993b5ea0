"""Failures of the tests' own, raised in one place."""


class Jammed(Exception):
    """A failure of the tests' own."""


def raised(error: BaseException, *, cause: BaseException | None = None) -> BaseException:
    """Return ``error`` as it is caught, with where it was raised."""
    try:
        raise error from cause
    except BaseException as caught:
        return caught
