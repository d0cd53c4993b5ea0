"""The host's settings: one dict ``OUTBOX``, every key with a default, read once and typed."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import MISSING, dataclass, field, fields
from datetime import timedelta
from functools import cache
from typing import Any

from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
from django.core.signals import setting_changed

from outbox.advice import as_timedelta, did_you_mean

FOR_EVER = timedelta.max
WEBHOOK = re.compile(r"https://[^/\s]+|http://(localhost|127\.0\.0\.1|\[::1\])(:\d+)?(/|$)")
MANAGEMENT = re.compile(r"(off|https?://([^/@\s]+@)?([^/@:\s]+|\[[0-9a-fA-F:.]+\])(:\d{1,5})?(/[^?#\s]*)?)?")
BROKER = re.compile(r"amqps?://.")
PREFIX_LENGTH = 50
PREFIX = re.compile(rf"[\w-]{{1,{PREFIX_LENGTH}}}")
INTERNAL = frozenset(
    {
        *("grace", "resend_after", "send_limit", "high_water", "rescan_budget", "rescan_overdue"),
        *("lease", "chunk_time", "chunk_time_sqlite", "hint_time", "session_age", "chunk_lock_timeout", "probe_after"),
        *("connect_timeout", "confirm_timeout", "dispatch_backlog"),
    }
)
"""Settings that no operator has to decide. They work, ``check`` warns of them, and a release may change them."""


@dataclass(frozen=True, slots=True)
class Conf:
    """The settings of the engine, under the same names as the keys of ``OUTBOX``, in lower case."""

    database: str = "default"
    """The database alias the message table lives on; atomic consumers act on it."""
    prefix: str = "outbox"
    """What every queue name begins with. Own to each installation that shares a broker."""
    brokers: Mapping[str, Any] = field(default_factory=dict)
    """Brokers of others by name, for ``forward(broker=)`` and ``receive(broker=)``: an address, as in ``{"partner":
    "amqps://…"}``, several with ``;`` between them, or ``{"URL": …, "SSL": {…}}`` with the options of Celery's
    ``broker_use_ssl``."""
    receivers: Mapping[str, str] = field(default_factory=dict)
    """Secrets by receiver, as in ``{"partner": "…"}``: with what a receiver signs its receipts for our forwards. Who is
    not named here has a queue of receipts of its own."""
    receipt_secrets: Mapping[str, str] = field(default_factory=dict)
    """Secrets by source: with what we sign the receipts for what we take in from it, ``receive(receipts=True)``."""
    source: str = ""
    """Who we are to others: ``app_id`` of what is forwarded, and the source of CloudEvents. Empty: ``PREFIX``."""
    payload_limit: int = 256 * 1024
    """Bytes of JSON that payload and headers may have together."""
    grace: timedelta = timedelta(seconds=5)
    """How long after commit the rescan leaves a new row to the dispatcher's hint."""
    resend_after: timedelta = timedelta(seconds=10)
    """How long after sending a hint the rescan looks at the row again."""
    send_limit: int = 360
    """Sends into an empty queue, none of them started, after which a row fails: no worker took it."""
    high_water: int = 50
    """Hints waiting in a consumer's queue at which no more are sent."""
    rescan_budget: timedelta = timedelta(seconds=0.8)
    """How long one pass of the rescan may go on."""
    rescan_overdue: timedelta = timedelta(seconds=5)
    """Age of the last rescan at which workers run it themselves. A longer interval in the admin adds to it."""
    lease: timedelta = timedelta(seconds=10)
    """How long a started row belongs to its worker (``atomic=False``: its timeout more)."""
    chunk_time: timedelta = timedelta(seconds=2)
    """How long a chunk's transaction may go on before the rest is given back."""
    chunk_time_sqlite: timedelta = timedelta(seconds=0.2)
    """The same on SQLite, where it blocks every other writer."""
    hint_time: timedelta = timedelta(seconds=0.1)
    """How long a hint goes on with chunk after chunk in a backlog, before other consumers may have its place."""
    places: int = 200
    """Calls of ``atomic=False`` consumers that a worker process has under way at once, all consumers together."""
    thread_sessions: int = 8
    """Database sessions that a worker process has for plain handlers in threads; those that find none free wait."""
    session_age: timedelta = timedelta(minutes=10)
    """Age at which a worker's database session is closed between two hints, whatever ``CONN_MAX_AGE`` says."""
    chunk_lock_timeout: timedelta = timedelta(milliseconds=100)
    """How long a chunk that is not sorted waits for a row lock before the rest is redone row by row."""
    receive_high_water: int = 100_000
    """Unfinished messages of a source at which no more of it are taken in: they wait at the broker."""
    keep_received: timedelta = timedelta(days=90)
    """How long the id of a message that was taken in is known, so that its redelivery is a no-op. It may be longer than
    KEEP_FINISHED."""
    quarantine_limit: int = 256 * 1024 * 1024
    """Bytes of quarantined messages that wait for a person, all sources together, at which receiving stops."""
    sequence_heartbeat: timedelta = timedelta(seconds=10)
    """How often the receivers of a forward with sequence=True are told which numbers were given."""
    gap_limit: timedelta = timedelta(minutes=1)
    """How long a number of a sender may be missing after the sender has said that it was sent, before it is a gap."""
    hop_limit: int = 8
    """How many installations may have passed a message on before it is quarantined as one that goes round."""
    probe_after: timedelta = timedelta(seconds=5)
    """How long a row waits when its handler said ``Unavailable``."""
    gone_after: timedelta = timedelta(hours=24)
    """How long a row whose consumer is not in the code waits before it fails (a rolling deploy)."""
    keep_finished: timedelta = timedelta(days=30)
    """How long settled messages are kept. For so long a topic and key cannot be published a second time."""
    keep_stats: timedelta = timedelta(days=90)
    """How long the charts' figures per minute are kept, and failure groups after their last failure."""
    keep_audit: timedelta = FOR_EVER
    """How long, at least, audit entries are kept. They are removed by the day, and the chain says so."""
    keep_items: timedelta = timedelta(days=30)
    """How long after its end it is kept what became of each message of a bulk operation. The operation itself stays."""
    bulk_approval_above: int = 0
    """Messages above which a bulk operation waits for a second person's approval. 0: discards alone wait for it."""
    approval_above_value: Mapping[str, int] = field(default_factory=dict)
    """Amounts by currency, as in ``{"EUR": 500}``: what is worth more is edited with a second person's approval, and so
    is a bulk operation on messages that are worth more together."""
    proxies: int = 0
    """How many proxies of yours add to X-Forwarded-For; the audit then has the address that called the first."""
    api_token_life: timedelta = timedelta(days=90)
    """How long an API token may be valid at most."""
    api_rate: int = 300
    """Calls of the API that one token may make in a minute, all web processes together."""
    desk_session: timedelta = timedelta(minutes=30)
    """How long the session of somebody lasts who does nothing at the desk, with ``outbox.admin.sessions`` installed."""
    rescan_limit: timedelta = timedelta(seconds=15)
    """Age of the last rescan at which health is critical. A longer interval in the admin adds to it."""
    maintenance_limit: timedelta = timedelta(minutes=10)
    """Age of the last success of any other chore (pruning, statistics, alerts) at which health warns."""
    oldest_warning: timedelta = timedelta(minutes=5)
    """How long a consumer's oldest unfinished message may have waited before health warns."""
    oldest_critical: timedelta = timedelta(minutes=30)
    """The same, before health is critical."""
    failing_warning: int = 5
    """Attempts of one consumer within ten minutes, every one of them failed, at which health warns."""
    exhausted_warning: int = 1
    """Failed messages of one consumer, waiting for a person, at which health warns."""
    exhausted_critical: int = 100
    """The same, at which health is critical."""
    burst_critical: int = 20
    """Messages of one consumer that failed for good within ten minutes, at which health is critical."""
    snapshot_warning: timedelta = timedelta(minutes=2)
    """Age of the oldest snapshot that a session holds (PostgreSQL) at which health warns; it hinders vacuum."""
    snapshot_critical: timedelta = timedelta(minutes=10)
    """The same, at which health is critical."""
    idle_warning: timedelta = timedelta(minutes=1)
    """How long a session may be idle in a transaction (PostgreSQL) before health warns."""
    alert_again: timedelta = timedelta(hours=4)
    """After how long an alert is sent again while its cause lasts."""
    alert_webhook: str = ""
    """Where alerts are posted as JSON: an https address, or http on this machine. Empty: nowhere."""
    alert_hook: str = ""
    """Dotted path of a function that is called with every batch of alerts. Empty: none."""
    redis_url: str = ""
    """Where Redis is, as ``redis://host:6379/0``, for ``outbox.contrib.redis_guard``. Empty: it is not used."""
    metrics_token: str = ""
    """Bearer token for /metrics and the reasons in /readyz. Empty: only callers on this machine see them."""
    broker_management: str = ""
    """Where RabbitMQ's management API is, as ``"https://user:password@rabbit.example:15671"``. Empty: on the broker's
    host, port 15672 (with TLS 15671), with the broker's user and password. ``"off"``: it is not asked."""
    connect_timeout: timedelta = timedelta(seconds=2)
    """How long opening a connection to the broker may take."""
    confirm_timeout: timedelta = timedelta(seconds=5)
    """How long the broker has to answer, or to confirm everything sent at once."""
    dispatch_backlog: int = 10_000
    """Publish calls whose hints may wait in the process; more are left to the rescan."""

    def __post_init__(self) -> None:
        if problems := list(self._problems()):
            raise ImproperlyConfigured("\n".join(problems))

    def _problems(self) -> Iterator[str]:
        wrong = set()
        for one in fields(self):
            if one.default is MISSING:
                continue
            value, kind = getattr(self, one.name), type(one.default)
            if type(value) is not kind:
                wrong.add(one.name)
                refused = f"must be of type {kind.__name__}, not {type(value).__name__}"
                yield f'OUTBOX["{one.name.upper()}"] {refused}{as_timedelta(value, wanted=kind)}.'
            elif kind is not str and value <= kind(0) and value != one.default:
                yield f'OUTBOX["{one.name.upper()}"] must be greater than zero.'
        if not _are_amounts(self.approval_above_value):
            yield 'OUTBOX["APPROVAL_ABOVE_VALUE"] must have whole amounts from 0 on by currency, as {"EUR": 500}.'
        for name in ("receivers", "receipt_secrets"):
            if not _are_secrets(getattr(self, name)):
                yield f'OUTBOX["{name.upper()}"] must have secrets of 16 characters or more by name.'
        yield from _broker_problems(self.brokers)
        if "alert_webhook" not in wrong and self.alert_webhook and not WEBHOOK.match(self.alert_webhook):
            yield 'OUTBOX["ALERT_WEBHOOK"] must begin with https://, or with http:// and a name of this machine.'
        if "broker_management" not in wrong and not MANAGEMENT.fullmatch(self.broker_management):
            yield 'OUTBOX["BROKER_MANAGEMENT"] must be as "https://user:password@rabbit.example:15671", "off" or empty.'
        if "prefix" not in wrong and not PREFIX.fullmatch(self.prefix):
            yield f'OUTBOX["PREFIX"] must be 1 to {PREFIX_LENGTH} letters, digits, "-" and "_".'
        if self.prefix == "amq":
            yield 'OUTBOX["PREFIX"] must not be "amq": RabbitMQ keeps the names that begin with it for itself.'


def _are_amounts(value: object) -> bool:
    """Tell whether these are whole amounts by currency."""
    if not isinstance(value, dict):
        return False
    return all(isinstance(name, str) and type(most) is int and most >= 0 for name, most in value.items())


def _are_secrets(value: object) -> bool:
    """Tell whether these are secrets by name, long enough that nobody guesses one."""
    if not isinstance(value, dict):
        return False
    return all(
        isinstance(name, str) and isinstance(secret, str) and len(secret) >= 16 for name, secret in value.items()
    )


def _broker_problems(brokers: object) -> Iterator[str]:
    """Say what is wrong with the brokers of others, and repeat no address: it may have a password."""
    if not isinstance(brokers, dict) or not all(isinstance(name, str) and name for name in brokers):
        yield 'OUTBOX["BROKERS"] must have addresses by name, as {"partner": "amqps://user:password@host/vhost"}.'
        return
    for name, given in brokers.items():
        known = {"URL", "SSL"}
        url = given.get("URL") if isinstance(given, dict) and given.keys() <= known else given
        urls = [part.strip() for part in url.split(";")] if isinstance(url, str) else []
        if not urls or not all(BROKER.match(part) for part in urls):
            yield (
                f'OUTBOX["BROKERS"][{name!r}] must be an address that begins with amqp:// or amqps://, or a dict of '
                '"URL" and "SSL".'
            )
        elif isinstance(given, dict) and not isinstance(given.get("SSL", True), bool | dict):
            yield f'OUTBOX["BROKERS"][{name!r}]["SSL"] must be True, False, or a dict as Celery\'s broker_use_ssl.'


@cache
def conf() -> Conf:
    """Return the settings in force; ``ImproperlyConfigured`` names all unknown keys and wrong values, a line each."""
    given: dict[str, Any] = getattr(settings, "OUTBOX", {})
    if not isinstance(given, dict):
        raise ImproperlyConfigured(f'OUTBOX must be a dict, as {{"PREFIX": "myproject"}}, not {type(given).__name__}.')
    known = {field.name.upper() for field in fields(Conf)}
    problems = []
    if unknown := sorted(set(given) - known, key=str):
        guess = did_you_mean(str(unknown[0]).upper(), known)
        problems.append(f"OUTBOX has unknown keys {unknown}{guess}; known are {sorted(known)}.")
    try:
        made = Conf(**{key.lower(): value for key, value in given.items() if key in known})
    except ImproperlyConfigured as error:
        problems.append(str(error))
    if problems:
        raise ImproperlyConfigured("\n".join(problems))
    return made


def conf_problems() -> list[str]:
    """Return what is wrong with the settings, a sentence each."""
    try:
        conf()
    except ImproperlyConfigured as error:
        return str(error).splitlines()
    return []


def _forget(*, setting: str, **_kwargs: object) -> None:
    if setting == "OUTBOX":
        conf.cache_clear()


setting_changed.connect(_forget)
