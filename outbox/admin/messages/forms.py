"""The forms by which an operator acts on a message: each asks for what ``operate`` needs, and calls it."""

from typing import Any

from django import forms
from django.utils.functional import Promise
from django.utils.text import format_lazy
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from outbox import operate
from outbox.admin.forms import FencedForm, ReasonedForm
from outbox.declared import Consumer
from outbox.models import Evidence, EvidenceKind, HandledAs, Message
from outbox.models.evidence import EVIDENCE_LENGTH
from outbox.monitoring.findings import many
from outbox.operate import Actor
from outbox.operate.actions import Action


class ActionForm(FencedForm, ReasonedForm):
    """An act on a message, and the revision of the message that the operator was looking at."""

    confirm_text: Promise | None = None
    opens = True
    """Whether the page may show it open from the beginning."""
    lets_others_go = False
    """Whether it lets what waits behind the message by its ordering key go on."""
    hook = ""
    """The option of a consumer by which the business hears of it."""
    done_so_far: Promise | None = None
    """What has been done, said before why nobody takes the message up for now; for acts that let it be tried."""

    confirm = forms.BooleanField()

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if self.confirm_text is None:
            del self.fields["confirm"]
        else:
            self.fields["confirm"].label = str(self.confirm_text)

    def fit_to(self, message: Message) -> None:
        """Offer what the message leaves to be chosen; most acts ask the same of every message."""

    def carry_out(self, message_id: int, *, actor: Actor, origin: str) -> None:
        """Call ``operate`` with what was entered."""
        raise NotImplementedError

    def tell_of_others(self, behind: int) -> None:
        """Add what the act means for those that wait ``behind`` the message by its ordering key, if it lets them go."""
        if behind and self.lets_others_go:
            text = gettext("Lets what waits behind it go on: %(many)s.") % {"many": many(behind)}
            self.promise = format_lazy("{} {}", self.promise, text)

    def tell_of_evidence(self, proof: Evidence | None) -> None:
        """Say what proves that the promise was kept outside the system, where that is a question."""

    def tell_of_business(self, consumer: Consumer | None) -> None:
        """Add whether the business row follows by itself, if that is a question."""
        if not self.hook or consumer is None:
            return
        text = (
            gettext("The business row follows in the same step, or refuses.")
            if getattr(consumer, self.hook)
            else gettext("The business row does not follow by itself: see to it as well.")
        )
        self.promise = format_lazy("{} {}", self.promise, text)

    def done_to(self, message: Message) -> str:
        """Return what has been done, in words, and why nobody takes the message up for now, if nobody does."""
        held_back = operate.why_held_back(message.consumer) if self.done_so_far else ""
        return f"{self.done_so_far} {held_back}" if held_back else str(self.done)

    def _confirm_that_it_was_issued(self, proof: Evidence | None) -> None:
        if proof is not None and proof.text:
            label = gettext("I know that it was issued, by %(evidence)s (%(actor)s)")
            self.fields["confirm"].label = label % {"evidence": proof.text, "actor": proof.actor}

    def _common(self) -> dict[str, Any]:
        return {"revision": self.cleaned_data["revision"], "reason": self.cleaned_data["reason"]}


class RetryForm(ActionForm):
    """Retry a message whose failed attempts left nothing behind."""

    act = Action.RETRY
    title = _("Retry")
    button = _("Retry now")
    promise = _("A fresh set of tries, starting now, with the same idempotency key.")
    done = _("Pending again: a worker takes it up now.")
    done_so_far = _("Pending again.")

    def carry_out(self, message_id: int, *, actor: Actor, origin: str) -> None:
        """Retry."""
        operate.retry(message_id, actor=actor, origin=origin, **self._common())


class AskedRetryForm(RetryForm):
    """Retry a message although the other side may have acted: only after it was asked."""

    confirm_text = _("I have asked the other side: it has not acted")

    def carry_out(self, message_id: int, *, actor: Actor, origin: str) -> None:
        """Retry: the box was ticked."""
        operate.retry(message_id, actor=actor, origin=origin, asked_other_side=True, **self._common())


class IssuedRetryForm(RetryForm):
    """Retry a message although evidence says that it was issued: only by somebody who knows of it."""

    confirm_text = _("I know that it was issued already")
    button_class = "desk-danger"
    promise = _("The machine will issue it once more. Ask first whether the other side would take it for the same.")

    def tell_of_evidence(self, proof: Evidence | None) -> None:
        """Name the evidence beside the box."""
        self._confirm_that_it_was_issued(proof)

    def carry_out(self, message_id: int, *, actor: Actor, origin: str) -> None:
        """Retry all the same."""
        operate.retry(message_id, actor=actor, origin=origin, despite_evidence=True, **self._common())


class HandleForm(ActionForm):
    """Say that the matter is settled, how, and what proves it."""

    act = Action.HANDLE
    title = _("Mark as handled")
    button = _("Mark as handled")
    promise = _("You have settled the matter outside; the machine will leave it alone. Can be reopened.")
    done = _("Marked as handled.")
    lets_others_go = True
    hook = "on_handled"

    outcome = forms.ChoiceField(label=_("Outcome"), choices=[("", "---------"), *HandledAs.choices])
    kind = forms.ChoiceField(label=_("What proves it"), choices=EvidenceKind.choices, initial=EvidenceKind.ORDER)
    evidence = forms.CharField(
        label=_("Evidence"),
        max_length=EVIDENCE_LENGTH,
        help_text=_("An order number or a link proves one message as issued, and no other."),
    )
    field_order = ["revision", "outcome", "kind", "evidence", "reason"]

    def carry_out(self, message_id: int, *, actor: Actor, origin: str) -> None:
        """Mark as handled."""
        operate.mark_handled(
            message_id,
            actor=actor,
            origin=origin,
            outcome=HandledAs(self.cleaned_data["outcome"]),
            evidence=self.cleaned_data["evidence"],
            kind=EvidenceKind(self.cleaned_data["kind"]),
            **self._common(),
        )


class DiscardForm(ActionForm):
    """Close a message that nobody is to act on."""

    act = Action.DISCARD
    title = _("Discard")
    button = _("Discard the message")
    button_class = "desk-danger"
    promise = _("No consumer will act on the message. Only for what should never have been published.")
    done = _("Discarded.")
    lets_others_go = True
    hook = "on_discarded"
    confirm_text = _("I understand that this message will never be acted on")

    def carry_out(self, message_id: int, *, actor: Actor, origin: str) -> None:
        """Discard."""
        operate.discard(message_id, actor=actor, origin=origin, **self._common())


class AcknowledgeForm(ActionForm):
    """Say that a double issue is known."""

    act = Action.ACKNOWLEDGE
    title = _("Acknowledge the double issue")
    button = _("Acknowledge")
    promise = _("You have seen to it, or nothing is to be done. No alarm speaks of it any more.")
    done = _("Acknowledged: no alarm speaks of it any more.")

    def carry_out(self, message_id: int, *, actor: Actor, origin: str) -> None:
        """Acknowledge."""
        operate.acknowledge(message_id, actor=actor, origin=origin, **self._common())


class ReopenForm(ActionForm):
    """Take a decision back."""

    act = Action.REOPEN
    title = _("Reopen")
    button = _("Reopen")
    promise = _("The message waits for a person again, as before it was closed by hand.")
    done = _("Reopened: it waits for a person again.")
    hook = "on_reopened"

    evidence_wrong = forms.BooleanField(
        label=_("The evidence was wrong: it proves another message, or nothing"), required=False
    )
    field_order = ["revision", "evidence_wrong", "reason"]

    def carry_out(self, message_id: int, *, actor: Actor, origin: str) -> None:
        """Reopen."""
        wrong = self.cleaned_data["evidence_wrong"]
        operate.reopen(message_id, actor=actor, origin=origin, evidence_wrong=wrong, **self._common())


class HurryForm(ActionForm):
    """Do not wait any longer."""

    act = Action.HURRY
    title = _("Make due now")
    button = _("Make due now")
    promise = _(
        "It is tried now and not at its own time. If it was called before, within some seconds: that call may still "
        "run. A pause, a breaker and a rate hold it as before."
    )
    done = _("Due now: a worker takes it up in turn.")
    done_so_far = _("Due now.")

    def carry_out(self, message_id: int, *, actor: Actor, origin: str) -> None:
        """Hurry."""
        operate.hurry(message_id, actor=actor, origin=origin, **self._common())


class WithdrawForm(ActionForm):
    """Take back what nobody has done yet."""

    act = Action.WITHDRAW
    title = _("Withdraw")
    button = _("Withdraw the message")
    button_class = "desk-danger"
    promise = _("The message is taken back and nobody is called for it.")
    done = _("Withdrawn.")
    opens = False
    lets_others_go = True
    hook = "on_withdrawn"
    confirm_text = _("I understand that what was promised will not be done")

    def carry_out(self, message_id: int, *, actor: Actor, origin: str) -> None:
        """Withdraw."""
        operate.withdraw(message_id, actor=actor, origin=origin, **self._common())


class ReplayForm(ActionForm):
    """Do what is over once more, or have another consumer do it."""

    act = Action.REPLAY
    title = _("Replay")
    button = _("Replay the event")
    button_class = "desk-danger"
    promise = _("Writes a new message of the same event, which is due now. This one stays as it is.")
    done = _("Replayed: a new message was written.")
    opens = False
    confirm_text = _("I understand that the consumer may do it a second time")

    consumer = forms.ChoiceField(label=_("To"))
    identity = forms.ChoiceField(
        label=_("Idempotency key"),
        choices=[("new", _("a new one")), ("same", _("the same"))],
        help_text=_(
            "With a new one the other side takes it for a new order, with the same for the order it has. Another "
            "consumer has a new one in any case."
        ),
    )
    field_order = ["revision", "consumer", "identity", "reason", "confirm"]

    def fit_to(self, message: Message) -> None:
        """Offer the consumers to which the event can be replayed, its own first."""
        names = operate.receivers_of_replays(message.topic)
        choices = [(name, name) for name in sorted(names, key=lambda name: name != message.consumer)]
        self.fields["consumer"] = forms.ChoiceField(label=_("To"), choices=choices)

    def carry_out(self, message_id: int, *, actor: Actor, origin: str) -> None:
        """Replay, and remember the new message."""
        self.made = operate.replay(
            message_id,
            actor=actor,
            origin=origin,
            consumer=self.cleaned_data["consumer"],
            same_key=self.cleaned_data["identity"] == "same",
            **self._common(),
        )

    def done_to(self, _message: Message) -> str:
        """Return which message was written, and whether anybody takes it up."""
        text = gettext("Replayed to %(consumer)s as message %(id)d.")
        text %= {"consumer": self.made.consumer, "id": self.made.pk}
        return f"{text} {operate.why_held_back(self.made.consumer)}".strip()
