"""The journal: on disk before it counts, one outcome a trade, one process; a crash leaves only an unfinished tail."""

from __future__ import annotations

import json
import os
import resource
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from flasharb.adapters.journal import DuplicateOutcome, Journal, JournalError, JournalLocked


def lines(path: Path) -> list[dict[str, object]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_each_record_is_a_line_with_its_run(tmp_path: Path) -> None:
    with Journal(tmp_path, "r1") as journal:
        journal.append("intent", {"trade": 1, "target": 7})
        journal.append("outcome", {"trade": 1, "outcome": "included"})

        assert lines(journal.path) == [
            {"event": "intent", "run": "r1", "trade": 1, "target": 7},
            {"event": "outcome", "run": "r1", "trade": 1, "outcome": "included"},
        ]
        assert journal.open_intents == []


def test_a_second_outcome_of_a_trade_is_refused_and_not_written(tmp_path: Path) -> None:
    with Journal(tmp_path, "r1") as journal:
        journal.append("outcome", {"trade": 1, "outcome": "missed"})
        with pytest.raises(DuplicateOutcome):
            journal.append("outcome", {"trade": 1, "outcome": "included"})
        assert len(lines(journal.path)) == 1


def test_the_next_run_may_use_the_same_trade_numbers(tmp_path: Path) -> None:
    for run in ("r1", "r2"):
        with Journal(tmp_path, run) as journal:
            journal.append("outcome", {"trade": 1, "outcome": "missed"})
    assert [line["run"] for line in lines(tmp_path / "journal.jsonl")] == ["r1", "r2"]


def test_an_intent_without_outcome_is_known_after_a_restart(tmp_path: Path) -> None:
    with Journal(tmp_path, "r1") as journal:
        journal.append("intent", {"trade": 1, "target": 7})
        journal.append("intent", {"trade": 2, "target": 7})
        journal.append("outcome", {"trade": 1, "outcome": "missed"})
    with Journal(tmp_path, "r2") as journal:
        assert [(one["run"], one["trade"]) for one in journal.open_intents] == [("r1", 2)]


@pytest.mark.parametrize("cut", range(1, 60, 7))
def test_a_tail_cut_by_a_crash_is_set_aside_and_whole_lines_stay(tmp_path: Path, cut: int) -> None:
    with Journal(tmp_path, "r1") as journal:
        journal.append("intent", {"trade": 1, "target": 7})
        journal.append("outcome", {"trade": 1, "outcome": "missed", "why": "x" * 60})
        path = journal.path
    whole = path.read_bytes()
    path.write_bytes(whole[:-cut])

    with Journal(tmp_path, "r2") as journal:
        assert journal.dropped_tail > 0
        assert [one["trade"] for one in journal.open_intents] == [1]
        journal.append("outcome", {"trade": 9, "outcome": "missed"})
    assert [line["trade"] for line in lines(path)] == [1, 9]
    assert path.with_suffix(".tail").read_bytes().rstrip(b"\n") == whole.splitlines()[1][: 1 - cut or None]


def test_damage_before_the_tail_is_refused_with_the_line(tmp_path: Path) -> None:
    (tmp_path / "journal.jsonl").write_bytes(b'{"event":"x"}\n{"eve\n{"event":"y"}\n')
    with pytest.raises(JournalError, match="line 2"):
        Journal(tmp_path, "r1")


def test_a_second_process_is_refused(tmp_path: Path) -> None:
    script = "import sys, pathlib, flasharb.adapters.journal as j; j.Journal(pathlib.Path(sys.argv[1]), 'x')"
    command = [sys.executable, "-c", script, str(tmp_path)]
    with Journal(tmp_path, "r1"):
        second = subprocess.run(command, check=False, capture_output=True, text=True)
    assert second.returncode != 0
    assert "in use by another flasharb process" in second.stderr
    third = subprocess.run(command, check=False, capture_output=True, text=True)
    assert third.returncode == 0, third.stderr


def test_a_second_journal_in_this_process_is_refused(tmp_path: Path) -> None:
    with Journal(tmp_path, "r1"), pytest.raises(JournalLocked):
        Journal(tmp_path, "r2")


def test_a_full_disk_is_an_error_and_leaves_whole_lines(tmp_path: Path) -> None:
    """``RLIMIT_FSIZE`` cuts the write short, as a full disk does."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    try:
        with Journal(tmp_path, "r1") as journal:
            journal.append("intent", {"trade": 1})
            size = journal.path.stat().st_size
            resource.setrlimit(resource.RLIMIT_FSIZE, (size + 10, before[1]))
            with pytest.raises(JournalError):
                journal.append("outcome", {"trade": 1, "outcome": "missed"})
            assert journal.path.stat().st_size == size
            resource.setrlimit(resource.RLIMIT_FSIZE, before)
            journal.append("outcome", {"trade": 1, "outcome": "missed"})
            assert len(lines(journal.path)) == 2
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, handler)


def test_a_failing_fsync_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def failing(descriptor: int) -> None:
        raise OSError(5, "Input/output error")

    with Journal(tmp_path, "r1") as journal:
        monkeypatch.setattr(os, "fsync", failing)
        with pytest.raises(JournalError, match="Input/output error"):
            journal.append("intent", {"trade": 1})
        assert journal.open_intents == []


def test_an_unwritable_place_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(JournalError, match="cannot open"):
        Journal(tmp_path / "file" / "sub", "r1")
