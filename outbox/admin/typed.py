"""What was typed into a form of the desk outlives the session: it is kept on the server, for whoever typed it alone.

Every form carries a seal: for whom the page was made. Somebody else who signs in at the same browser is shown nothing,
and what bears no seal of ours is not kept at all, so that nobody fills the table of sessions from outside. Nothing of
it is in an address or a log, and it is gone when it was shown, or after half an hour.
"""

import time
from datetime import timedelta
from typing import Any

from django.conf import settings
from django.contrib import messages
from django.core.signing import BadSignature, TimestampSigner
from django.http import HttpRequest, QueryDict
from django.utils.datastructures import MultiValueDict
from django.utils.translation import gettext as _

from outbox.admin.rehearsing import REHEARSE, STOP
from outbox.operate.actions import Action

SEAL = "typed_by"
"""The field with the seal."""
BY_ITSELF = "X-Desk-Reads-Itself"
"""The header of requests that a page makes by itself: nobody needs to be there for them."""
SALT = "outbox.admin.typed"
SEAL_HOLDS = timedelta(hours=12)
"""So long a page may have been open."""
KEPT_AS = "outbox.typed"
"""Under which name the session has it."""
KEPT_FOR = timedelta(minutes=30)
KEPT_CHARACTERS = 262_144
KEPT_FORMS = 5
"""Forms kept at most; a person may have had several open."""
NOT_TYPED = frozenset(
    {
        *("csrfmiddlewaretoken", SEAL, "act", "step", "seen", "was", "revision", "confirmed"),
        *("verb", "group", "all", "consumer", "of", "take", "by", "rehearsal", "member", "view", "query"),
    }
)
"""What a form carries beside what a person has entered."""
DOES_IT = ("confirmed", "step")
"""What says that a page was looked at before; what was typed is looked at anew."""
BUTTONS = frozenset([Action.ASK, Action.REVEAL, Action.SPLIT, Action.DELETE_VIEW, REHEARSE, STOP])
"""Acts of a single button, for which nothing is typed."""


def seal(person: Any) -> str:
    """Return the seal of a page that is made for this person."""
    return TimestampSigner(salt=SALT).sign(str(person.pk)) if person.is_authenticated else ""


def typed_texts(request: HttpRequest) -> list[tuple[str, str]]:
    """Return what a person has entered into the form that was posted: the name of each field, and its text."""
    if request.POST.get("act") in BUTTONS:
        return []
    fields = ((name, text) for name, texts in request.POST.lists() for text in texts)
    return [(name, text) for name, text in fields if name not in NOT_TYPED and text.strip()]


def keep(request: HttpRequest) -> bool:
    """Keep what was posted until its page is asked for again; False if nothing was kept."""
    person = _sealed_for(request)
    if not person or not typed_texts(request) or "signed_cookies" in settings.SESSION_ENGINE:
        return False
    if request.user.is_authenticated and str(request.user.pk) != person:
        return False
    posted = request.POST.copy()
    for name in ("csrfmiddlewaretoken", SEAL, *DOES_IT):
        posted.pop(name, None)
    text = posted.urlencode()
    if len(text) > KEPT_CHARACTERS:
        return False
    kept = request.session.get(KEPT_AS, {})
    kept.pop(request.get_full_path(), None)
    kept[request.get_full_path()] = {"person": person, "at": time.time(), "posted": text}
    request.session[KEPT_AS] = dict(list(kept.items())[-KEPT_FORMS:])
    return True


def take_up(request: HttpRequest) -> None:
    """Turn a GET of a page into a POST of the form that its person had sent there when the session was over.

    ``keep`` has kept the form. Views ask ``is_taken_up`` and then show it again, and do nothing. Without a kept form
    the request stays as it is. What others have typed at this browser is dropped unseen. A request that a page makes by
    itself leaves the form to the person.
    """
    kept = request.session.get(KEPT_AS)
    if not kept or request.method != "GET" or BY_ITSELF in request.headers or not request.user.is_authenticated:
        return
    oldest = time.time() - KEPT_FOR.total_seconds()
    mine = {path: form for path, form in kept.items() if form["person"] == str(request.user.pk) and form["at"] > oldest}
    form = mine.pop(request.get_full_path(), None)
    request.session[KEPT_AS] = mine
    if form is None:
        return
    request.method = "POST"
    request.POST = QueryDict(form["posted"], mutable=False)
    setattr(request, "_files", MultiValueDict())  # noqa: B010  # Django would read the body, which has none
    setattr(request, KEPT_AS, True)
    messages.warning(
        request,
        _("Nothing was done: you had been signed out. What you had typed is here again; look at it, then send it."),
    )


def is_sealed(request: HttpRequest) -> bool:
    """Tell whether the form was made by us for somebody, who has been signed out since."""
    return bool(_sealed_for(request))


def is_taken_up(request: HttpRequest) -> bool:
    """Tell whether the form was only left and is shown again: then nothing must be done."""
    return hasattr(request, KEPT_AS)


def _sealed_for(request: HttpRequest) -> str:
    """Return the primary key of the person for whom the page was made that was posted; nothing without our seal."""
    try:
        return TimestampSigner(salt=SALT).unsign(request.POST.get(SEAL, ""), max_age=SEAL_HOLDS)
    except BadSignature:
        return ""
