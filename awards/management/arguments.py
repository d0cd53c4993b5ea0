"""What commands take as arguments: numbers within a range, and ports; refused before anything is started."""

from argparse import ArgumentTypeError
from collections.abc import Callable

from awards.management.clone import free_port

HIGHEST_PORT = 65_535


def whole(least: int, most: int) -> Callable[[str], int]:
    """Return a type for argparse: a whole number from ``least`` to ``most``."""

    def number(text: str) -> int:
        try:
            value = int(text)
        except ValueError as error:
            raise ArgumentTypeError(f"must be a whole number from {least} to {most}, not {text!r}") from error
        if not least <= value <= most:
            raise ArgumentTypeError(f"must be from {least} to {most}, not {value}")
        return value

    return number


port = whole(0, HIGHEST_PORT)


def port_of_ours(text: str) -> int:
    """Take a port on which we can serve now; 0 is any that is free."""
    wanted = port(text)
    if wanted and free_port(wanted) != wanted:
        raise ArgumentTypeError(f"{wanted} is taken, or not for us to use; give another, or 0 for any that is free")
    return wanted
