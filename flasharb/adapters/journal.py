"""The journal: one JSON object a line, appended and flushed to the disk before anybody acts on it.

A line is written in one call and ends in a newline; a crash can therefore only leave one unfinished line, at the end.
Opening the journal drops such a tail (its bytes are kept beside the journal, nothing is lost silently). A second
process that opens the same journal is refused: two instances would spend one nonce twice.

Lines: ``{"event": "started", …}`` says on which chain a run works, ``{"event": "intent", …}`` stands before a bundle is
sent, ``{"event": "submitted", …}`` after it, and ``{"event": "outcome", …}`` once for every trade. The last three hold
``run`` and ``trade``; the pair is the key that makes an outcome exactly-once, also over restarts.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Final

import msgspec

from flasharb.errors import OutsideError, UsageError

FILE_NAME: Final = "journal.jsonl"


class JournalError(OutsideError):
    """The journal cannot be written: without it nothing may be signed or sent."""


class JournalLocked(UsageError):
    """Another process holds the journal."""


class DuplicateOutcome(Exception):
    """A bug: a trade reached a second outcome."""


class Journal:
    """An open journal; a context manager. Methods block for the disk: call them in a thread."""

    def __init__(self, directory: Path, run: str) -> None:
        """``run`` names this run in every line.

        Raises:
            JournalLocked: another process has it open.
            JournalError: the directory or file cannot be written.
        """
        self.path = directory / FILE_NAME
        self.run = run
        self.dropped_tail = 0
        """Bytes of an unfinished last line that were set aside at opening."""
        self._decided: set[tuple[str, int]] = set()
        self._pending: dict[tuple[str, int], dict[str, Any]] = {}
        self._sent: dict[tuple[str, int], dict[str, Any]] = {}
        self._started: dict[str, dict[str, Any]] = {}
        try:
            directory.mkdir(parents=True, exist_ok=True)
            self._file = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise JournalError(
                f"cannot open the journal {self.path}: {error.strerror}; "
                "storage.data_dir must be a directory that can be written"
            ) from error
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            os.close(self._file)
            if isinstance(error, BlockingIOError):
                raise JournalLocked(
                    f"{self.path} is in use by another flasharb process; stop it, or choose another storage.data_dir"
                ) from None
            raise JournalError(f"cannot lock the journal {self.path}: {error.strerror}") from error
        try:
            self._recover()
        except BaseException:
            os.close(self._file)
            raise

    def _recover(self) -> None:
        content = self.path.read_bytes()
        whole = content.rfind(b"\n") + 1
        lines = content[:whole].splitlines()
        for number, line in enumerate(lines, 1):
            try:
                record = msgspec.json.decode(line, type=dict[str, Any])
            except msgspec.DecodeError:
                raise JournalError(
                    f"{self.path} is damaged in line {number}; move the file away to start a new journal"
                ) from None
            self._note(record)
        tail = content[whole:]
        if tail:
            self.dropped_tail = len(tail)
            with self.path.with_suffix(".tail").open("ab") as aside:
                aside.write(tail + b"\n")
            os.ftruncate(self._file, whole)
            os.fsync(self._file)

    def _note(self, record: Mapping[str, Any]) -> None:
        match record:
            case {"event": "intent", "run": str(run), "trade": int(trade)}:
                self._pending[run, trade] = dict(record)
            case {"event": "outcome", "run": str(run), "trade": int(trade)}:
                self._decided.add((run, trade))
                self._pending.pop((run, trade), None)
                self._sent.pop((run, trade), None)
            case {"event": "submitted", "run": str(run), "trade": int(trade)}:
                self._sent[run, trade] = dict(record)
            case {"event": "started", "run": str(run)}:
                self._started[run] = dict(record)
            case _:
                pass

    @property
    def open_intents(self) -> list[dict[str, Any]]:
        """Intents without an outcome: bundles that may still land, also those of an earlier run that crashed."""
        return list(self._pending.values())

    def started(self, run: str) -> dict[str, Any] | None:
        """On which chain a run worked; None where it did not say."""
        return self._started.get(run)

    def submitted(self, run: str, trade: int) -> dict[str, Any] | None:
        """What was sent for a trade that has no outcome; None where nothing was, as far as the journal knows."""
        return self._sent.get((run, trade))

    def append(self, event: str, fields: Mapping[str, Any], run: str | None = None) -> None:
        """Write one line and wait until the disk has it.

        ``fields`` holds JSON values only; integers beyond 53 bits go as decimal strings. ``run`` names an earlier run
        whose trade is decided now; None: this one.

        Raises:
            JournalError: the disk is full, read-only or failing. The line counts as not written.
            DuplicateOutcome: the trade already has an outcome (a bug of the caller).
        """
        run = self.run if run is None else run
        record = {"event": event, "run": run, **fields}
        if event == "outcome" and (run, fields["trade"]) in self._decided:
            raise DuplicateOutcome(f"trade {fields['trade']} of run {run} already has an outcome")
        line = msgspec.json.encode(record) + b"\n"
        try:
            size = os.fstat(self._file).st_size
            written = os.write(self._file, line)
            if written != len(line):
                os.ftruncate(self._file, size)
                raise JournalError(f"cannot write the journal {self.path}: {written} of {len(line)} bytes taken")
            os.fsync(self._file)
        except OSError as error:
            raise JournalError(f"cannot write the journal {self.path}: {error.strerror}") from error
        self._note(record)

    def close(self) -> None:
        """Release the lock; further appends fail."""
        os.close(self._file)

    def __enter__(self) -> Journal:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()
