"""Mail to winners, by Django's mail backend.

Mail goes out into the world and cannot be taken back, so a worker that dies between sending and settling sends it
again. Both carry the same Message-ID, by which mail servers and readers know a duplicate.
"""

import smtplib
from email.utils import parseaddr

from django.conf import settings
from django.core.exceptions import ValidationError
from django.core.mail import EmailMessage
from django.core.validators import validate_email
from django.template.loader import render_to_string
from django.urls import reverse
from django.utils import translation
from django.utils.translation import gettext as _

from awards import conf
from awards.errors import MailDelayed, MailRefused, MailServerUnavailable
from awards.models import Award

SERVICE_CLOSING = 421


def address_of(person: str) -> str:
    """Return the e-mail address that ``person`` is, or nothing for a name."""
    try:
        validate_email(person)
    except ValidationError:
        return ""
    return person


def send_mail_to_winner(award: Award, *, idempotency_key: str, language: str) -> None:
    """Send the winner of ``award``, who must be an e-mail address, word of what was won.

    Raises ``MailServerUnavailable`` if no mail can be sent now, ``MailDelayed`` if this one cannot, and
    ``MailRefused`` if it never will.
    """
    with translation.override(language if language in dict(settings.LANGUAGES) else settings.LANGUAGE_CODE):
        mail = _compose_mail(award, idempotency_key)
    try:
        mail.send()
    except OSError as error:
        raise _classify_failure(error) from error


def _compose_mail(award: Award, idempotency_key: str) -> EmailMessage:
    page = conf.site_url() and conf.site_url() + reverse("awards:draw", args=[award.draw.public_id])
    subject = _("You have won: %(prize)s") % {"prize": award.prize.name}
    text = render_to_string("awards/mail/won.txt", {"award": award, "campaign": award.draw.campaign, "page": page})
    domain = parseaddr(settings.DEFAULT_FROM_EMAIL)[1].rpartition("@")[2] or "localhost"
    return EmailMessage(
        subject=" ".join(subject.split()),
        body=text.strip() + "\n",
        to=[award.person],
        headers={"Message-ID": f"<{idempotency_key}@{domain}>", "Auto-Submitted": "auto-generated"},
    )


def _classify_failure(error: OSError) -> MailServerUnavailable | MailDelayed | MailRefused:
    """Return what a failure to send means: for every mail, for this one now, or for this one for good.

    Only what the server says of the recipient or of the text concerns this one mail; all else, a wrong password and a
    sender it does not like included, would meet every other mail too.
    """
    said: bytes | str
    match error:
        case smtplib.SMTPRecipientsRefused():
            code, said = next(iter(error.recipients.values()), (0, b""))
        case smtplib.SMTPDataError():
            code, said = error.smtp_code, error.smtp_error
        case _:
            return MailServerUnavailable(f"mail cannot be sent: {type(error).__name__}: {error}")
    text = f"{code} {said.decode(errors='replace') if isinstance(said, bytes) else said}"
    if code == SERVICE_CLOSING:
        return MailServerUnavailable(f"the mail server is closing: {text}")
    if 400 <= code < 500:
        return MailDelayed(f"the mail server cannot take this mail yet: {text}")
    return MailRefused(f"the mail server refused this mail: {text}")
