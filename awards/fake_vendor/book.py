"""The vendor's own book: a row for each order shipped and each text sent, in a file that nobody else writes."""

import sqlite3
import threading
from dataclasses import asdict, dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestedOrder:
    """What an order asks for; two are the same if all of it is."""

    sku: str
    recipient: str
    award: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Shipped:
    """One order really shipped, under the number the vendor gave it."""

    number: str
    key: str
    wanted: RequestedOrder

    def as_json(self) -> dict[str, str]:
        """Return the order in the words of the vendor's interface."""
        return {"order_number": self.number, "idempotency_key": self.key, **asdict(self.wanted)}


class KeyReused(Exception):
    """The key has been used for something else."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Text:
    """One text message really sent, under the number that the gateway gave it."""

    number: str
    key: str
    to: str
    text: str

    def as_json(self) -> dict[str, str]:
        """Return the message in the words of the gateway's interface."""
        return {"id": self.number, "idempotency_key": self.key, "to": self.to, "text": self.text}


class Book:
    """What was shipped, in SQLite with every commit on disk. Threads may share it; a restart keeps it."""

    def __init__(self, path: Path | str) -> None:
        self._lock = threading.Lock()
        self._connection = sqlite3.connect(path, check_same_thread=False, isolation_level=None, timeout=20)
        self._connection.execute("PRAGMA journal_mode = WAL")
        self._connection.execute("PRAGMA synchronous = FULL")
        self._connection.execute(
            "CREATE TABLE IF NOT EXISTS shipped (id INTEGER PRIMARY KEY AUTOINCREMENT, key TEXT NOT NULL, "
            "sku TEXT NOT NULL, recipient TEXT NOT NULL, award TEXT NOT NULL, "
            "shipped_at TEXT NOT NULL DEFAULT CURRENT_TIMESTAMP)"
        )
        self._connection.execute("CREATE INDEX IF NOT EXISTS shipped_by_key ON shipped (key)")
        self._connection.execute(
            "CREATE TABLE IF NOT EXISTS texted (id INTEGER PRIMARY KEY AUTOINCREMENT, key TEXT NOT NULL, "
            "recipient TEXT NOT NULL, text TEXT NOT NULL)"
        )
        self._connection.execute("CREATE INDEX IF NOT EXISTS texted_by_key ON texted (key)")

    def ship(self, key: str, wanted: RequestedOrder, *, forgetful: bool = False) -> tuple[Shipped, bool]:
        """Ship what is wanted and return the order and whether it is new.

        The same key again gets the order it got before, and raises ``KeyReused`` if it asks for something else. A
        ``forgetful`` vendor does not look at keys, and ships again.
        """
        with self._lock:
            known = None if forgetful else self._find(key)
            if known is None:
                row = self._connection.execute(
                    "INSERT INTO shipped (key, sku, recipient, award) VALUES (?, ?, ?, ?) RETURNING id",
                    (key, wanted.sku, wanted.recipient, wanted.award),
                ).fetchall()
                return Shipped(number=_number(row[0][0]), key=key, wanted=wanted), True
        if known.wanted != wanted:
            raise KeyReused(f"key {known.key} was used for order {known.number}")
        return known, False

    def find(self, key: str) -> Shipped | None:
        """Return the first order under ``key``, or None."""
        with self._lock:
            return self._find(key)

    def everything(self) -> list[Shipped]:
        """Return every order really shipped, in the order of shipping."""
        with self._lock:
            rows = self._connection.execute("SELECT id, key, sku, recipient, award FROM shipped ORDER BY id")
            return [_shipped(*row) for row in rows]

    def text(self, key: str, *, to: str, text: str, forgetful: bool = False) -> tuple[Text, bool]:
        """Send a text message and return it and whether it is new, by the rules of ``ship``."""
        with self._lock:
            known = None if forgetful else self._find_text(key)
            if known is None:
                row = self._connection.execute(
                    "INSERT INTO texted (key, recipient, text) VALUES (?, ?, ?) RETURNING id", (key, to, text)
                ).fetchall()
                return _text(row[0][0], key, to, text), True
        if (known.to, known.text) != (to, text):
            raise KeyReused(f"key {key} was used for message {known.number}")
        return known, False

    def find_text(self, key: str) -> Text | None:
        """Return the first message under ``key``, or None."""
        with self._lock:
            return self._find_text(key)

    def texts(self) -> list[Text]:
        """Return every message really sent, in the order of sending."""
        with self._lock:
            return [
                _text(*row)
                for row in self._connection.execute("SELECT id, key, recipient, text FROM texted ORDER BY id")
            ]

    def close(self) -> None:
        """Close the file."""
        with self._lock:
            self._connection.close()

    def _find(self, key: str) -> Shipped | None:
        row = self._connection.execute(
            "SELECT id, key, sku, recipient, award FROM shipped WHERE key = ? ORDER BY id LIMIT 1", (key,)
        ).fetchone()
        return _shipped(*row) if row else None

    def _find_text(self, key: str) -> Text | None:
        row = self._connection.execute(
            "SELECT id, key, recipient, text FROM texted WHERE key = ? ORDER BY id LIMIT 1", (key,)
        ).fetchone()
        return _text(*row) if row else None


def _text(id: int, key: str, to: str, text: str) -> Text:
    return Text(number=f"S-{id:07d}", key=key, to=to, text=text)


def _shipped(id: int, key: str, sku: str, recipient: str, award: str) -> Shipped:
    wanted = RequestedOrder(sku=sku, recipient=recipient, award=award)
    return Shipped(number=_number(id), key=key, wanted=wanted)


def _number(id: int) -> str:
    return f"V-{id:07d}"
