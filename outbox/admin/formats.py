"""How the desk writes a moment, and the engine's own words in the reader's language.

Errors are stored in English, and kinds of failure as patterns.
"""

import re
from datetime import UTC, datetime

from django.utils.functional import Promise
from django.utils.html import format_html
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from outbox.failures import reasons
from outbox.models import FailureGroup
from outbox.operate.wording import format_datetime

REASONS: dict[str, Promise] = {
    reasons.EXPIRED: gettext_lazy("expired: the deadline passed before it succeeded"),
    reasons.GONE: gettext_lazy("the consumer is not in the code any more"),
    reasons.LOST: gettext_lazy("its worker was gone before it settled, again and again"),
    reasons.NOBODY: gettext_lazy(
        "no worker took it: its hints went into an empty queue, again and again, and it was never started"
    ),
}
"""Why the engine gives a message up without an error of the consumer's."""
ENDINGS: dict[str, Promise] = {
    "no tries left": gettext_lazy("no tries left"),
    "rejected": gettext_lazy("rejected"),
    "worker lost, no tries left": gettext_lazy("worker lost, no tries left"),
}
"""What the engine adds to the last error, in brackets."""

ENDING = re.compile(rf" \(({'|'.join(ENDINGS)})\)$")
LOST = re.compile(r"^the worker (\S*) was gone before it settled attempt (\d+)$")
LATE = re.compile(r"^refused, a later attempt or an operator was faster; (.*)$", re.DOTALL)
VARYING = re.compile(r"\(=?<value>\)|<(?:value|uuid|time|mail|url|address|text|hex|n)>…?")
ONLY_VARYING = re.compile(r"\{[…\s:,\[\]]*…[…\s:,\[\]]*\}")
IN_A_ROW = re.compile(r"…(?:[\s,:;.]*…)+")


def format_moment(at: datetime | None) -> str:
    """Show a moment in local time, with UTC in the tooltip; the script turns local into the reader's own."""
    if at is None:
        return "–"
    utc = at.astimezone(UTC)
    return format_html(
        '<time datetime="{}" title="{}">{}</time>',
        utc.isoformat(timespec="milliseconds"),
        f"{utc:%Y-%m-%d %H:%M:%S} UTC",
        format_datetime(at),
    )


def translate_error(text: str) -> str:
    """Return an error as people read it: the engine's own part translated, the consumer's as it was said."""
    ending = ENDING.search(text)
    if ending:
        return f"{translate_error(text[: ending.start()])} ({ENDINGS[ending[1]]})"
    if text in REASONS:
        return str(REASONS[text])
    if lost := LOST.match(text):
        return _("the worker %(worker)s was gone before it settled attempt %(number)s") % {
            "worker": lost[1],
            "number": lost[2],
        }
    if late := LATE.match(text):
        said = _("the handler had succeeded") if late[1] == "the handler had succeeded" else late[1]
        return _("refused, a later attempt or an operator was faster; %(said)s") % {"said": said}
    return text


def format_group(group: FailureGroup) -> str:
    """Return a kind of failure as people read it: "…" for what differs from case to case.

    Where nothing else is left, the exception says what it is.
    """
    if group.title in REASONS:
        return str(REASONS[group.title])
    title = IN_A_ROW.sub("…", ONLY_VARYING.sub("{…}", VARYING.sub("…", group.title)))
    if any(character.isalpha() for character in title):
        return title
    return ": ".join(part for part in (group.exception, title) if part)
