"""What commands take as arguments: numbers within a range, and ports; refused before anything is started."""

from argparse import ArgumentTypeError
from collections.abc import Callable

HIGHEST_PORT = 65_535


def whole_number(least: int, most: int) -> Callable[[str], int]:
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


port_number = whole_number(0, HIGHEST_PORT)
