"""What calls bring: shapes and limits, as the document of the API says them."""

from typing import Annotated, Literal

from ninja import Schema
from pydantic import ConfigDict, Field, StringConstraints

from outbox.bulk.operations import FASTEST
from outbox.bulk.selection import LIST_LENGTH
from outbox.models.evidence import EVIDENCE_LENGTH
from outbox.models.message import KEY_LENGTH
from outbox.models.row_ids import BIGGEST_ID
from outbox.operate.text_checks import REASON_LENGTH
from outbox.topics import NAME_LENGTH

NO_NUL = r"^[^\x00]*$"
BIGGEST_REVISION = 2**31 - 1
YEAR_OF_MINUTES = 365 * 24 * 60

Id = Annotated[int, Field(ge=1, le=BIGGEST_ID)]
Revision = Annotated[
    int,
    Field(
        ge=0,
        le=BIGGEST_REVISION,
        description="As you have read it. If somebody has changed the row since, the call is a conflict.",
        examples=[0],
    ),
]
Reason = Annotated[
    str,
    Field(
        min_length=1,
        max_length=REASON_LENGTH,
        description="Why; the audit keeps it.",
        examples=["the vendor is back, ticket 4711"],
    ),
]
ConsumerName = Annotated[str, StringConstraints(max_length=NAME_LENGTH, pattern=NO_NUL)]
Key = Annotated[str, StringConstraints(min_length=1, max_length=KEY_LENGTH, pattern=NO_NUL)]
Fingerprint = Annotated[str, StringConstraints(min_length=1, max_length=64, pattern=NO_NUL)]
IdempotencyKey = Annotated[str, StringConstraints(pattern=r"^[!-~]{1,200}$")]
Word = Annotated[str, StringConstraints(max_length=200, pattern=NO_NUL)]
Minutes = Annotated[int, Field(ge=1, le=YEAR_OF_MINUTES)]


class Body(Schema):
    """What a call brings: no member that is not named, and no text where a number must be."""

    model_config = ConfigDict(extra="forbid", strict=True)


class Act(Body):
    """An act on something that was read before."""

    revision: Revision
    reason: Reason


class Retry(Act):
    """Try a failed message again."""

    asked_other_side: bool = Field(
        False,
        description="You have asked the other side, and it has not acted. Needed where `may_have_acted` is true.",
    )
    despite_evidence: bool = Field(
        False, description="You know of evidence that it was issued already; it may be issued a second time."
    )


class Handle(Act):
    """Say that a failed message was settled outside, how, and what proves it."""

    outcome: Literal["issued", "compensated", "not_due"]
    kind: Literal["order", "link", "note"] = "order"
    evidence: str = Field(min_length=1, max_length=EVIDENCE_LENGTH, examples=["ORDER-4711"])


class NarrowedSet(Body):
    """Failed messages, narrowed down beside."""

    since_minutes: Minutes | None = Field(None, description="Only what failed in the last so many minutes.")
    owner: Word = Field("", description="Only what this person sees to.")
    error: Word = Field("", description="Only what has this text in its last error, in capitals or not.")


class Failed(NarrowedSet):
    """What has failed and waits for a person."""

    kind: Literal["failed"]
    consumer: ConsumerName = Field("", description="Of this consumer alone; empty: of every one.")


class OfGroup(NarrowedSet):
    """What is stuck for one reason."""

    kind: Literal["group"]
    group: Fingerprint


class Ids(Body):
    """Messages by their ids."""

    kind: Literal["ids"]
    ids: list[Id] = Field(min_length=1, max_length=LIST_LENGTH)


class Keys(Body):
    """Messages by the business ids under which they were published."""

    kind: Literal["keys"]
    keys: list[Key] = Field(min_length=1, max_length=LIST_LENGTH)


class FailedAgain(Body):
    """What an earlier retry has retried, and what has failed again."""

    kind: Literal["failed_again"]
    operation: Id


class Undo(Body):
    """What an earlier operation has closed."""

    kind: Literal["undo"]
    operation: Id


class Prepare(Body):
    """What is to be done, and to which messages."""

    verb: Literal["retry", "handle", "discard", "reopen"]
    set: Failed | OfGroup | Ids | Keys | FailedAgain | Undo = Field(
        discriminator="kind", examples=[{"kind": "failed", "consumer": "myshop.order_gift", "since_minutes": 360}]
    )


class Start(Act):
    """How a previewed operation is carried out."""

    rate: Annotated[int, Field(ge=1, le=FASTEST)] | None = Field(
        None, description="Messages per second; null: as fast as it goes."
    )
    canary: int = Field(0, ge=0, le=1_000, description="So many first; the rest when all of them have succeeded.")
    stop_percent: Annotated[int, Field(ge=0, le=99)] | None = Field(
        None, description="Stop when more than this share of the retried fails again."
    )
    include_suspects: bool = Field(False, description="Also where the other side may have acted.")
    outcome: Literal["issued", "compensated", "not_due"] | None = Field(None, description="How they were handled.")
    evidence: str = Field("", max_length=EVIDENCE_LENGTH, description="What proves that they were handled.")


class Pause(Body):
    """Hold a consumer back."""

    seen: str | None = Field(
        max_length=40, description="`paused_at` as you have read it; null: it was not paused.", examples=[None]
    )
    reason: Reason
    minutes: Minutes | None = Field(None, description="How long; null: until somebody resumes it.")


class Resume(Body):
    """Let a consumer go on."""

    seen: str | None = Field(max_length=40, description="`paused_at` as you have read it.")
    reason: Reason
