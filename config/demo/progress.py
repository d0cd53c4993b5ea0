"""A plain progress bar: one line that grows on a terminal, a line now and then anywhere else."""

from typing import Protocol

BAR_WIDTH = 30
LINES = 5
"""Lines written in all when nobody watches."""


class Output(Protocol):
    """What the bar is written to."""

    def write(self, text: str, /) -> object:
        """Write ``text``."""
        ...

    def flush(self) -> object:
        """Show what was written."""
        ...

    def isatty(self) -> bool:
        """Tell whether somebody watches."""
        ...


class Progress:
    """Shows how much of ``total`` is done."""

    def __init__(self, output: Output, title: str, *, total: int) -> None:
        self._output = output
        self._title = title
        self._total = total
        self._watched = output.isatty()
        self._shown = ""
        self._step = 0

    def show(self, done: int, note: str = "") -> None:
        """Show that ``done`` are done, with a few words beside the figures."""
        text = f"{self._title} {done}/{self._total}{f', {note}' if note else ''}"
        if self._watched:
            filled = BAR_WIDTH * done // max(self._total, 1)
            line = f"[{'#' * filled}{'.' * (BAR_WIDTH - filled)}] {text}"
            self._write(f"\r{line:<{len(self._shown)}}")
            self._shown = line
        elif (step := LINES * done // max(self._total, 1)) > self._step:
            self._step = step
            self._write(f"{text}\n")

    def end(self) -> None:
        """Leave the bar's line."""
        if self._watched:
            self._write("\n")

    def _write(self, text: str) -> None:
        self._output.write(text)
        self._output.flush()
