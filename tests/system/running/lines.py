"""Reading a log back: what stands in front of a text, and in which lines a text stands."""

import re

FIRST = re.compile(
    r"(?P<time>\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z) (?P<level>[A-Z]+) (?P<pid>\d+) (?P<logger>\S+) "
    r"(?P<about>message=\S+ attempt=\S+ consumer=\S+) \| (?P<text>.*)"
)
CONTINUED = re.compile(r"  (?P<about>message=\S+ attempt=\S+ consumer=\S+) \| (?P<text>.*)")
NOTHING = "message=- attempt=- consumer=-"


def about(log: str, text: str) -> list[str]:
    """Return what the lines with ``text`` in them are about, in their order."""
    found = [match for line in log.splitlines() if (match := FIRST.fullmatch(line) or CONTINUED.fullmatch(line))]
    return [match["about"] for match in found if text in match["text"]]


def strange(log: str, *, after: str) -> list[str]:
    """Return the lines that are not in the format, after the first with ``after`` in it: Celery greets in its own."""
    lines = log.splitlines()
    up = next(number for number, line in enumerate(lines) if after in line)
    return [line for line in lines[up:] if not (FIRST.fullmatch(line) or CONTINUED.fullmatch(line))]
