"""The stock of a sale as Redis has it: piece numbers of one epoch, handed out by scripts."""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from itertools import islice
from typing import Any, Literal
from uuid import UUID

from django.conf import settings
from django.utils.crypto import salted_hmac

from awards.models import Sale
from awards.sale import scripts
from outbox.contrib.redis_connection import client

PUSHED_AT_ONCE = 5_000
FINGERPRINT_LENGTH = 24
KEPT_AFTER_THE_END = timedelta(days=7)
TURN = timedelta(seconds=20)
"""How long the turn of a draw is kept that was killed: longer than its piece is held."""
Status = Literal["taken", "empty", "free", "cold", "void", "under_way", "limit"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Asker:
    """Who asks for a piece, by which request; ``limit`` is how often each person may draw. Redis gets no names."""

    request_id: str
    person: str = field(repr=False)
    limit: int | None

    @property
    def fingerprint(self) -> str:
        """What stands for the person in Redis."""
        return salted_hmac("awards.sale.person", self.person).hexdigest()[:FINGERPRINT_LENGTH]


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What Redis has answered."""

    status: Status
    piece: int = 0
    left: Sequence[int] = ()
    """How many are left now, of each prize that was asked for."""
    turn: int = 0
    """How often the prize has run out by now, if it has with this piece."""


def admit(campaign_id: int, *, rate: int, burst: int) -> timedelta:
    """Let a request in, or return how long to wait for the next that is."""
    answer: Any = client().eval(scripts.ADMIT, 1, _bucket(campaign_id), str(rate), str(burst))
    return timedelta(microseconds=int(answer))


def ask(sale: Sale, asker: Asker, prizes: Sequence[int]) -> Answer:
    """Return whether the person may draw, and how many pieces are left of each prize."""
    return _take(sale, asker, "", prizes)


def take(sale: Sale, asker: Asker, prize: int, write_id: UUID) -> Answer:
    """Take a piece of the prize. The same ``write_id`` again gets the same piece, or nothing if it was given back."""
    return _take(sale, asker, str(write_id), [prize])


def take_turn(sale: Sale, asker: Asker, owner: UUID) -> bool:
    """Let no other draw of the person go on for ``TURN`` at most; tell whether none does."""
    milliseconds = int(TURN / timedelta(milliseconds=1))
    return bool(client().eval(scripts.TAKE_TURN, 1, _turn(sale, asker), str(owner), str(milliseconds)))


def end_turn(sale: Sale, asker: Asker, owner: UUID) -> None:
    """Let the person's next draw go on."""
    client().eval(scripts.END_TURN, 1, _turn(sale, asker), str(owner))


def count_lost(sale: Sale, asker: Asker) -> None:
    """Count a draw that lost against what the person may draw."""
    client().eval(scripts.COUNT, 4, *_keys(sale.campaign_id, sale.epoch), asker.request_id, asker.fingerprint)


def give_back(campaign_id: int, epoch: int, write_id: UUID | str) -> str:
    """Give back what a write has taken, if it has, and make it void for ever; return what there was."""
    return str(client().eval(scripts.GIVE_BACK, 4, *_keys(campaign_id, epoch), str(write_id)))


def fill(sale: Sale, pieces: Mapping[int, Iterable[int]], *, ends_in: timedelta) -> None:
    """Put the pieces of each prize into a new epoch, and take those before it away. It is cold until all are there.

    What was begun twice is filled once: the epoch's lists are emptied first, and each part is put in by its place.
    """
    server, keys = client(), _keys(sale.campaign_id, sale.epoch)
    seconds = int((max(ends_in, timedelta(0)) + KEPT_AFTER_THE_END).total_seconds())
    _forget_before(sale, seconds)
    server.delete(*keys, *[_pieces(sale.campaign_id, sale.epoch, prize) for prize in pieces])
    for prize, numbers in pieces.items():
        key, rest, there = _pieces(sale.campaign_id, sale.epoch, prize), iter(numbers), 0
        while some := list(islice(rest, PUSHED_AT_ONCE)):
            server.eval(scripts.FILL, 1, key, str(there), str(seconds), *map(str, some))
            there += len(some)
    # A key that does not exist yet cannot be given an end.
    server.hset(keys[1], "", "")
    server.hset(keys[2], "", 0)
    server.hset(keys[3], "", "void")
    for key in keys[1:]:
        server.expire(key, seconds)
    server.hset(keys[0], mapping={"turn": 0, "prizes": " ".join(map(str, pieces))})
    server.expire(keys[0], seconds)


def _forget_before(sale: Sale, seconds: int) -> None:
    """Take all earlier epochs away that were filled, and note that this one is."""
    server, filled = client(), f"{_root(sale.campaign_id)}:filled"
    earlier: Any = server.zrangebyscore(filled, "-inf", f"({sale.epoch}")
    for epoch in map(int, earlier):
        forget(sale.campaign_id, epoch)
    server.zremrangebyscore(filled, "-inf", f"({sale.epoch}")
    server.zadd(filled, {str(sale.epoch): sale.epoch})
    server.expire(filled, seconds)


def forget(campaign_id: int, epoch: int) -> None:
    """Take an epoch away: first what makes it warm, then the rest."""
    server, keys = client(), _keys(campaign_id, epoch)
    prizes = str(server.hget(keys[0], "prizes") or "").split()
    server.delete(keys[0])
    server.delete(*keys[1:], *[_pieces(campaign_id, epoch, int(prize)) for prize in prizes])


def is_warm(sale: Sale) -> bool:
    """Tell whether Redis has the stock of the sale's epoch."""
    return bool(client().exists(_keys(sale.campaign_id, sale.epoch)[0]))


def left(sale: Sale, prizes: Sequence[int]) -> dict[int, int]:
    """Return how many pieces Redis has of each prize."""
    asked = client().pipeline(transaction=True)
    for prize in prizes:
        asked.llen(_pieces(sale.campaign_id, sale.epoch, prize))
    return dict(zip(prizes, map(int, asked.execute()), strict=True))


def pieces(sale: Sale, prizes: Sequence[int]) -> dict[int, tuple[list[int], list[int]]]:
    """Return by prize which pieces Redis has, and which were taken in this epoch and not given back, at one moment.

    What was taken is drawn, or in the hands of a draw.
    """
    asked = client().pipeline(transaction=True)
    asked.hvals(_keys(sale.campaign_id, sale.epoch)[3])
    for prize in prizes:
        asked.lrange(_pieces(sale.campaign_id, sale.epoch, prize), 0, -1)
    writes, *lists = asked.execute()
    taken: dict[int, list[int]] = {}
    for each in writes:
        if each != "void":
            content = json.loads(each)
            taken.setdefault(int(content["pieces"].rpartition(":")[2]), []).append(int(content["piece"]))
    return {
        prize: ([int(piece) for piece in numbers], taken.get(prize, []))
        for prize, numbers in zip(prizes, lists, strict=True)
    }


def _take(sale: Sale, asker: Asker, write_id: str, prizes: Sequence[int]) -> Answer:
    keys = [*_keys(sale.campaign_id, sale.epoch), *(_pieces(sale.campaign_id, sale.epoch, prize) for prize in prizes)]
    limit = "" if asker.limit is None else str(asker.limit)
    answer: Any = client().eval(scripts.TAKE, len(keys), *keys, write_id, asker.request_id, asker.fingerprint, limit)
    match answer:
        case ["taken", piece, rest, turn]:
            return Answer(status="taken", piece=int(piece), left=[int(rest)], turn=int(turn))
        case ["free", *lengths]:
            return Answer(status="free", left=[int(length) for length in lengths])
        case [status]:
            return Answer(status=status)
    raise ValueError(f"Redis answered {answer!r:.100}")


def _keys(campaign_id: int, epoch: int) -> list[str]:
    """Return meta, requests, persons and writes, which a cluster keeps in one place."""
    root = f"{_root(campaign_id)}:{epoch}"
    return [f"{root}:meta", f"{root}:requests", f"{root}:persons", f"{root}:writes"]


def _pieces(campaign_id: int, epoch: int, prize: int) -> str:
    return f"{_root(campaign_id)}:{epoch}:pieces:{prize}"


def _bucket(campaign_id: int) -> str:
    return f"{_root(campaign_id)}:bucket"


def _turn(sale: Sale, asker: Asker) -> str:
    return f"{_root(sale.campaign_id)}:turn:{asker.fingerprint}"


def _root(campaign_id: int) -> str:
    return f"{settings.OUTBOX.get('PREFIX', 'outbox')}:sale:{{{campaign_id}}}"
