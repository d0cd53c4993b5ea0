"""How the desk writes a status, a moment, a span and a count, the same on every page."""

from datetime import UTC, datetime, timedelta
from typing import Any

from django import template
from django.utils import timezone
from django.utils.formats import date_format
from django.utils.functional import Promise
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.timesince import timesince
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext

from outbox.admin.queue import Tally
from outbox.models import Message, Resolution, Status

register = template.Library()

LOOKS: dict[tuple[str, str], tuple[str, str, Promise]] = {
    (Status.PENDING, ""): ("pending", "wait", gettext_lazy("Pending")),
    (Status.STARTED, ""): ("started", "busy", gettext_lazy("Started")),
    (Status.SUCCESS, ""): ("success", "good", gettext_lazy("Success")),
    (Status.FAILED, ""): ("failed", "bad", gettext_lazy("Failed")),
    (Status.SUCCESS, Resolution.HANDLED): ("handled", "good", gettext_lazy("Handled by hand")),
    (Status.FAILED, Resolution.DISCARDED): ("discarded", "closed", gettext_lazy("Discarded")),
}


@register.inclusion_tag("outbox/desk/_status.html")
def status(message: Message) -> dict[str, Any]:
    """Show a status as icon, word and colour."""
    icon, tone, word = LOOKS[message.status, message.resolution]
    return {"icon": icon, "tone": tone, "word": word}


@register.simple_tag
def moment(at: datetime | None) -> str | SafeString:
    """Show a moment in local time, with UTC in the tooltip; the script turns local into the reader's own."""
    if at is None:
        return "–"
    utc = at.astimezone(UTC)
    return format_html(
        '<time datetime="{}" title="{}">{}</time>',
        utc.isoformat(timespec="milliseconds"),
        f"{utc:%Y-%m-%d %H:%M:%S} UTC",
        date_format(timezone.localtime(at), "DATETIME_FORMAT"),
    )


@register.simple_tag
def age(at: datetime) -> SafeString:
    """Show how long ago something was, in one unit; the tooltip has the moment itself."""
    utc = at.astimezone(UTC)
    return format_html(
        '<time datetime="{}" data-age title="{}">{}</time>',
        utc.isoformat(timespec="milliseconds"),
        f"{utc:%Y-%m-%d %H:%M:%S} UTC",
        timesince(at, depth=1),
    )


@register.filter
def span(took: timedelta) -> str:
    """Show how long something took, from milliseconds to days."""
    seconds = took.total_seconds()
    if seconds < 1:
        return _("%(count)d ms") % {"count": round(seconds * 1000)}
    if seconds < 60:
        return _("%(count).1f s") % {"count": seconds}
    minutes = round(seconds / 60)
    return ngettext("%(count)d min", "%(count)d min", minutes) % {"count": minutes}


@register.filter
def short(tally: Tally) -> str:
    """Show a count, with a plus where counting stopped."""
    return f"{tally.counted:,}+" if tally.more else f"{tally.counted:,}"


@register.filter
def spoken(tally: Tally) -> str:
    """Say a count in words, for the tooltip and for those who listen."""
    if tally.more:
        return _("more than %(count)s") % {"count": f"{tally.counted:,}"}
    return ngettext("%(count)s message", "%(count)s messages", tally.counted) % {"count": f"{tally.counted:,}"}
