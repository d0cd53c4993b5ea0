"""Ids as people and addresses give them: text that may be anything."""

BIGGEST_ID = 2**63 - 1
"""The largest id that a table can have."""
DIGITS = len(str(BIGGEST_ID))


def read_id(text: str) -> int | None:
    """Return the number that ``text`` is in plain digits, 0 to ``BIGGEST_ID``; None if it is anything else."""
    if not (text.isascii() and text.isdigit() and len(text) <= DIGITS):
        return None
    number = int(text)
    return number if number <= BIGGEST_ID else None
