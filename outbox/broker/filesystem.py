"""A broker made of files, for the embedded mode: kombu's filesystem transport without its half-written files.

A queue is a folder, a message a file that is written elsewhere and renamed into it, so that whoever sees it sees all of
it. Readers race for a file by removing it: the one whose ``unlink`` succeeds has the message. There are no locks to be
left behind and no claimed files to clean up. A process that is killed loses what it had taken, which is harmless: a
hint is repeated by the rescan.
"""

import os
from collections.abc import Iterator
from itertools import count
from pathlib import Path
from queue import Empty
from time import time_ns
from typing import Any
from urllib.parse import quote
from uuid import NAMESPACE_OID, uuid4, uuid5

from kombu.exceptions import ChannelError
from kombu.transport import filesystem
from kombu.transport.filesystem import exchange_queue_t
from kombu.utils.json import dumps, loads

_written = count()


class Channel(filesystem.Channel):
    """Queues and bindings under ``transport_options["folder"]``, which is made when missing."""

    def __init__(self, connection: Any, **kwargs: Any) -> None:
        super().__init__(connection, **kwargs)
        self.folder = Path(self.transport_options["folder"])
        self._half_written.mkdir(parents=True, exist_ok=True)

    def queue_delete(self, queue: str, if_unused: bool = False, if_empty: bool = False, **kwargs: Any) -> None:
        """Delete the queue with its messages, bound to an exchange or not."""
        if if_empty and self._size(queue):
            return
        super().queue_delete(queue, if_unused, **kwargs)
        self._purge(queue)
        self._remove_folder(queue)

    def get_table(self, exchange: str) -> list[exchange_queue_t]:  # type: ignore[override]  # as kombu's own
        """Return the bindings of ``exchange``, whichever process made them."""
        bindings = (_read(path) for path in _files(self._exchange_folder(exchange)))
        return [exchange_queue_t(*binding) for binding in bindings if binding is not None]

    def _queue_bind(self, exchange: str, routing_key: str, pattern: str | None, queue: str) -> None:
        binding = [routing_key or "", pattern or "", queue or ""]
        self._exchange_folder(exchange).mkdir(parents=True, exist_ok=True)
        self._write(self._binding_file(exchange, binding), binding)

    def _delete(self, queue: str, *args: Any, **_kwargs: Any) -> None:
        exchange, routing_key, pattern, *_rest = args
        self._binding_file(exchange, [routing_key or "", pattern or "", queue or ""]).unlink(missing_ok=True)

    def _new_queue(self, queue: str, **_kwargs: Any) -> None:
        self._queue_folder(queue).mkdir(parents=True, exist_ok=True)

    def _has_queue(self, queue: str, **_kwargs: Any) -> bool:
        return self._queue_folder(queue).is_dir()

    def _put(  # type: ignore[override]  # kombu's stubs disagree among themselves
        self, queue: str, payload: dict[str, Any], mandatory: bool = False, **_kwargs: Any
    ) -> None:
        """Add a message; into a queue that does not exist it is dropped, or refused when ``mandatory``."""
        name = f"{time_ns():020d}-{next(_written):09d}-{uuid4().hex}"
        try:
            self._write(self._queue_folder(queue) / name, payload)
        except FileNotFoundError as error:
            if mandatory:
                raise ChannelError(f"NO_ROUTE - no queue {queue!r}", (60, 40), "Basic.return", 312) from error

    def _get(self, queue: str, timeout: float | None = None) -> dict[str, Any]:  # noqa: ARG002  # kombu's signature
        for path in _files(self._queue_folder(queue)):
            message: dict[str, Any] | None = _read(path)
            if message is not None and _remove(path):
                return message
        raise Empty

    def _size(self, queue: str) -> int:
        return sum(1 for _path in _files(self._queue_folder(queue)))

    def _purge(self, queue: str) -> int:
        return sum(_remove(path) for path in _files(self._queue_folder(queue)))

    def _write(self, path: Path, content: object) -> None:
        half_written = self._half_written / uuid4().hex
        try:
            half_written.write_text(dumps(content), encoding="utf-8")
            half_written.replace(path)
        except OSError as error:
            half_written.unlink(missing_ok=True)
            if isinstance(error, FileNotFoundError) and not path.parent.is_dir():
                raise
            raise ChannelError(f"cannot write {path}: {error}") from error

    def _remove_folder(self, queue: str) -> None:
        try:
            self._queue_folder(queue).rmdir()
        except OSError:
            # Never declared, or a message came in this very moment: then the queue lives on with it.
            return

    @property
    def _half_written(self) -> Path:
        return self.folder / "writing"

    def _queue_folder(self, queue: str) -> Path:
        return self.folder / "queues" / f"{quote(queue, safe='')}.queue"

    def _exchange_folder(self, exchange: str) -> Path:
        return self.folder / "exchanges" / f"{quote(exchange, safe='')}.exchange"

    def _binding_file(self, exchange: str, binding: list[str]) -> Path:
        return self._exchange_folder(exchange) / uuid5(NAMESPACE_OID, dumps(binding)).hex


class Transport(filesystem.Transport):
    """The transport behind ``outbox-files://``."""

    Channel = Channel


def _files(folder: Path) -> Iterator[Path]:
    """Yield the files of a folder, oldest first; a folder that is missing is empty."""
    try:
        names = sorted(os.listdir(folder))
    except FileNotFoundError:
        return
    for name in names:
        yield folder / name


def _read(path: Path) -> Any:
    """Return what a file holds, or None if another reader was faster.

    After a power failure a file may be empty; it is removed, or its queue would stand still for ever.
    """
    try:
        return loads(path.read_bytes())
    except FileNotFoundError:
        return None
    except ValueError:
        _remove(path)
        return None


def _remove(path: Path) -> bool:
    """Tell whether it was we who removed the file."""
    try:
        path.unlink()
    except FileNotFoundError:
        return False
    return True
