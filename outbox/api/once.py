"""A call that is repeated acts once: its answer is kept for a day, under the key that the program gave it."""

import json
from collections.abc import Callable
from typing import Any

from django.db import IntegrityError, transaction
from django.db.models.functions import Now
from django.utils.translation import gettext as _

from outbox.api.problems import Code, Problem
from outbox.conf import conf
from outbox.models import ApiAnswer, ApiToken
from outbox.models.api import ANSWERS_KEPT
from outbox.operate.tokens import digest_of

Answer = dict[str, Any]


def once(token: ApiToken, key: str, *, call: list[Any], act: Callable[[], Answer]) -> tuple[Answer, bool]:
    """Act, and keep the answer in the same transaction; return it, and whether it was there before.

    The same call at the same moment waits for the first. ``call`` is what is asked for: another under the same key is
    refused. What was refused is not kept, and may be tried again.
    """
    digest = digest_of(json.dumps(call, sort_keys=True))
    with transaction.atomic(using=conf().database):
        ApiAnswer.objects.filter(token=token, key=key, at__lt=Now() - ANSWERS_KEPT).delete()
        kept = ApiAnswer(token=token, key=key, call=digest)
        try:
            with transaction.atomic(using=conf().database):
                kept.save(force_insert=True, using=conf().database)
        except IntegrityError:
            return _known(token, key, digest), True
        answer = act()
        ApiAnswer.objects.filter(pk=kept.pk).update(answer=answer)
    return answer, False


def _known(token: ApiToken, key: str, digest: str) -> Answer:
    known = ApiAnswer.objects.get(token=token, key=key)
    if known.call != digest:
        raise Problem(
            Code.KEY_REUSED,
            _("This Idempotency-Key was given to another call in the last 24 hours. Give each call a key of its own."),
        )
    answer: Answer = known.answer
    return answer
