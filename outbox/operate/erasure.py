"""Erasing what messages say of a person: payloads, errors, and what people wrote about them."""

from collections.abc import Sequence

from django.db import transaction
from django.db.models import F
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from outbox import audit
from outbox.conf import conf
from outbox.errors import NotAllowed
from outbox.models import Attempt, Evidence, Exchange, Message, Note, PayloadVersion
from outbox.operate.actions import Action, why_not
from outbox.operate.denials import noted_if_refused
from outbox.operate.operator_action import Actor, OperatorAction

MOST = 1_000
"""Messages that one act erases at most."""


@noted_if_refused(Action.ERASE, name="messages {}".format)
def erase(message_ids: Sequence[int], *, actor: Actor, reason: str, origin: str = "", subject: str = "") -> int:
    """Erase what these messages say of a person, for good, and return how many they were.

    Erased are payload, earlier payloads, headers and errors, of the attempts the errors, the tracebacks and what was
    said with other systems, evidence, notes, and in the audit the reasons and changes of all acts on them. Status,
    times, names of consumers and keys stay, and so does the audit's chain: it notes who has erased what. All of them
    must be settled, as a message that waits needs its payload; else nothing is erased. Those
    that are removed already have their texts in the audit erased all the same.

    ``subject`` is a name that says nothing, under which the audit notes whom it was about. With it no message is
    needed: the audit then notes that somebody was forgotten of whom there were none.
    """
    action = OperatorAction(Action.ERASE, actor, reason, origin)
    action.check()
    if not (0 if subject else 1) <= len(message_ids) <= MOST:
        raise NotAllowed(_("Name 1 to %(most)d messages.") % {"most": MOST})
    counted = ngettext("%(count)s message", "%(count)s messages", len(message_ids)) % {"count": len(message_ids)}
    with transaction.atomic(using=conf().database):
        messages = Message.objects.filter(pk__in=message_ids).select_for_update(no_key=True).order_by("pk")
        for message in messages:
            if refusal := why_not(Action.ERASE, message):
                raise NotAllowed(f"{message.pk}: {refusal}")
        Attempt.objects.filter(message_id__in=message_ids).update(error="", traceback="")
        Evidence.objects.filter(message_id__in=message_ids).update(text="", digest="", salt="")
        Exchange.objects.filter(message_id__in=message_ids).update(request="", answer="")
        Note.objects.filter(message_id__in=message_ids).update(text="")
        payload = {"erased": timezone.now().date().isoformat()}
        PayloadVersion.objects.filter(message_id__in=message_ids).update(payload=payload)
        erased = {
            "payload": payload,
            "headers": {},
            "digest": "",
            "last_error": "",
        }
        many = Message.objects.filter(pk__in=message_ids).update(**erased, revision=F("revision") + 1)
        audit.erase_texts(
            message_ids,
            actor=action.actor_name,
            origin=origin[:100],
            subject=(f"{subject}: " if subject else "") + counted,
            reason=reason.strip(),
        )
    return many
