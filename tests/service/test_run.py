"""``flasharb run`` as a process on the embedded devnet: sockets, workers, relay and chain are the real ones."""

from __future__ import annotations

import json
import os
import resource
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from flasharb.devnet.world import load_world

SLOT_S = "1.0"
SUMMARY_KEYS = {
    "event",
    "blocks",
    "bus_messages",
    "opportunities",
    "simulated",
    "rejected",
    "bundles_submitted",
    "bundles_included",
    "net_profit_wei",
    "latency_ms",
    "arbitrages",
    "curtailed",
}


@pytest.fixture(name="tmp_path")
def short_path() -> Iterator[Path]:
    """A directory whose name tells our processes apart and leaves room for sockets."""
    with tempfile.TemporaryDirectory(prefix="fa-run-") as path:
        yield Path(path)


def environment(tmp_path: Path, **settings: str) -> dict[str, str]:
    clean = {name: value for name, value in os.environ.items() if not name.startswith("FLASHARB_")}
    return {**clean, "FLASHARB_STORAGE_DATA_DIR": str(tmp_path / "s"), "FLASHARB_CHAIN_SLOT_S": SLOT_S, **settings}


def command(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "flasharb", "run", *arguments]


@contextmanager
def running(tmp_path: Path, *arguments: str, **settings: str) -> Iterator[subprocess.Popen[str]]:
    """The process, ended in any case."""
    with subprocess.Popen(
        command(*arguments),
        env=environment(tmp_path, **settings),
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            yield process
        finally:
            process.kill()


def lines(process: subprocess.Popen[str]) -> Iterator[dict[str, Any]]:
    assert process.stdout is not None
    for line in process.stdout:
        yield json.loads(line)


def until(process: subprocess.Popen[str], event: str) -> dict[str, Any]:
    for line in lines(process):
        if line["event"] == event:
            return line
    assert process.stderr is not None
    raise AssertionError(f"ended without {event}: {process.stderr.read()}")


def processes_of(run_dir: Path) -> list[str]:
    """Command lines of live processes that name this run's directory: the devnet, if it outlived its parent."""
    return list(_processes(run_dir).values())


def pids_of(run_dir: Path) -> list[int]:
    return list(_processes(run_dir))


def _processes(run_dir: Path) -> dict[int, str]:
    found = {}
    for entry in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            text = entry.read_bytes().replace(b"\0", b" ").decode()
        except OSError:
            continue
        if str(run_dir) in text:
            found[int(entry.parent.name)] = text
    return found


@pytest.mark.slow
def test_the_balance_grows_by_exactly_the_net_profit(tmp_path: Path) -> None:
    """Bundles land on the chain and the chain's own balances say what they brought."""
    finished = subprocess.run(
        command("--blocks", "12", "--json"),
        env=environment(tmp_path, FLASHARB_DEVNET_TRADES_PER_SLOT="4"),
        cwd=tmp_path,
        check=False,
        capture_output=True,
        text=True,
        timeout=110,
    )
    assert finished.returncode == 0, finished.stderr
    records = [json.loads(line) for line in finished.stdout.splitlines()]
    summary, balances = records[-1], records[-2]

    assert summary.keys() == SUMMARY_KEYS
    assert summary["event"] == "summary"
    assert summary["blocks"] == 12
    assert summary["bundles_included"] >= 1
    assert int(summary["net_profit_wei"]) > 0

    before, after = balances["before"], balances["after"]
    held = ("contract_base_token", "contract_eth", "sender_eth")
    growth = sum(int(after[name]) - int(before[name]) for name in held)
    assert growth == int(balances["growth_wei"]) == int(summary["net_profit_wei"])
    assert balances["equals_net_profit"] is True

    outcomes = [record for record in records if record["event"] == "outcome"]
    included = [record for record in outcomes if record["outcome"] == "included"]
    assert len(included) == summary["bundles_included"]
    assert sum(int(record["net_profit_wei"]) for record in included) == growth
    assert summary["latency_ms"]["bus_to_bundle"]["p50"] > 0
    _journal_agrees(tmp_path, records)
    _blocks_are_recorded(tmp_path, included)
    _receipts_tell_the_same(records, included)
    assert processes_of(tmp_path) == []


def _receipts_tell_the_same(records: list[dict[str, Any]], included: list[dict[str, Any]]) -> None:
    """The account of the blocks, from receipts alone, knows our bundles with the gross profit that balances showed."""
    accounts = [record for record in records if record["event"] == "arbitrages"]
    counted = records[-1]["arbitrages"]
    assert counted["blocks"] == len(accounts) >= 1
    assert counted["seen"] == sum(len(account["arbitrages"]) for account in accounts)
    assert counted["seen"] == counted["found"] + sum(counted["missed"].values())
    ours = {one["tx_hash"]: one for account in accounts for one in account["arbitrages"] if one["ours"]}
    assert len(ours) == counted["ours"]
    known = {account["block_number"] for account in accounts}
    landed = {one["tx_hash"]: one for one in included if one["block_number"] in known}
    assert {tx: one["gross_profit"] for tx, one in ours.items()} == {
        tx: one["gross_profit"] for tx, one in landed.items()
    }


@pytest.mark.slow
def test_pools_that_the_bus_names_join_the_market(tmp_path: Path) -> None:
    """A file with one of the devnet's pools; the traders' swaps name others, which are loaded and traded over."""
    listed = dict(load_world().pools)
    (tmp_path / "one.json").write_text(json.dumps({**listed, "pools": listed["pools"][:1]}))
    asked = {"FLASHARB_POOLS_FILES": str(tmp_path / "one.json"), "FLASHARB_POOLS_FROM_BUS": "true"}
    asked |= {"FLASHARB_CHAIN_SLOT_S": "0.5"}
    with running(tmp_path, "--blocks", "60", "--json", FLASHARB_DEVNET_TRADES_PER_SLOT="6", **asked) as process:
        named, held = 0, 0
        for line in lines(process):
            named += line["event"] == "notice" and line["subject"] == "pool"
            held = line["pools"] if line["event"] == "block" else held
            if line["event"] == "trade":
                break
        else:
            raise AssertionError(f"no trade over the {held} pools that were named")
        process.send_signal(signal.SIGINT)
        rest = list(lines(process))
        assert rest[-1]["event"] == "summary"
        assert process.wait(60) == 0
    assert named >= 2
    assert held >= 3


@pytest.mark.slow
def test_proofs_and_a_second_opinion_let_bundles_through(tmp_path: Path) -> None:
    """All state proven by the devnet's own roots, and its node asked before each signature: it still trades."""
    asked = {"FLASHARB_SIMULATION_VERIFY_STATE": "true", "FLASHARB_SIMULATION_SECOND_OPINION": "node"}
    asked |= {"FLASHARB_STRATEGY_ACCOUNT_MISSED": "false"}
    rejected = []
    with running(tmp_path, "--blocks", "30", "--json", FLASHARB_DEVNET_TRADES_PER_SLOT="4", **asked) as process:
        for line in lines(process):
            assert line["event"] != "arbitrages"
            if line["event"] == "outcome" and line["outcome"] == "submitted":
                break
            rejected += [line] if line["event"] == "outcome" else []
        else:
            raise AssertionError(f"no bundle in 30 blocks: {rejected}")
    assert not {line.get("reason") for line in rejected} & {"state_disproved", "second_opinion_differs"}


def _journal_agrees(tmp_path: Path, records: list[dict[str, Any]]) -> None:
    """Each trade has exactly one final outcome, and each bundle an intent before it."""
    journal = [json.loads(line) for line in (tmp_path / "s" / "journal.jsonl").read_text().splitlines()]
    decided = [line["trade"] for line in journal if line["event"] == "outcome"]
    assert len(decided) == len(set(decided))
    assert set(decided) == {record["trade"] for record in records if record["event"] == "trade"}
    seen: set[int] = set()
    for line in journal:
        if line["event"] == "intent":
            seen.add(line["trade"])
        elif line["event"] == "submitted":
            assert line["trade"] in seen


def _blocks_are_recorded(tmp_path: Path, included: list[dict[str, Any]]) -> None:
    """The run's directory has the block of every landed bundle, for ``flasharb simulate``."""
    (run_dir,) = (tmp_path / "s" / "runs").iterdir()
    for record in included:
        assert (run_dir / "blocks" / f"{record['block_number']}.json.gz").is_file()


@pytest.mark.slow
@pytest.mark.parametrize("stop", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_drains_and_exits_0(tmp_path: Path, stop: signal.Signals) -> None:
    """The summary still comes, and nothing is left running."""
    with running(tmp_path, "--json") as process:
        until(process, "block")
        process.send_signal(stop)
        last = list(lines(process))[-1]

        assert process.wait(timeout=60) == 0
    assert last["event"] == "summary"
    assert processes_of(tmp_path) == []


@pytest.mark.slow
def test_a_second_signal_exits_130_at_once(tmp_path: Path) -> None:
    """The slot is so long that draining alone would take minutes."""
    with running(tmp_path, "--json", FLASHARB_CHAIN_SLOT_S="20") as process:
        until(process, "started")
        process.send_signal(signal.SIGINT)
        assert process.stderr is not None
        assert "stopping in order" in process.stderr.readline()
        began = time.monotonic()
        process.send_signal(signal.SIGINT)

        assert process.wait(timeout=30) == 130
        assert time.monotonic() - began < 15
    assert processes_of(tmp_path) == []


@pytest.mark.slow
def test_the_devnet_dies_with_a_killed_service(tmp_path: Path) -> None:
    """SIGKILL leaves no time to clean up; the pipe does it."""
    with running(tmp_path, "--json") as process:
        until(process, "started")
        assert processes_of(tmp_path)
        process.kill()
    deadline = time.monotonic() + 20
    while processes_of(tmp_path) and time.monotonic() < deadline:
        time.sleep(0.1)
    assert processes_of(tmp_path) == []


@pytest.mark.slow
def test_long_directory_names_and_a_second_instance(tmp_path: Path) -> None:
    """A socket's path has at most 107 bytes, which nobody need know; two instances would spend one nonce twice."""
    settings = {"FLASHARB_STORAGE_DATA_DIR": str(tmp_path / ("long" * 40))}
    with running(tmp_path, "--json", **settings) as process:
        until(process, "started")
        second = subprocess.run(
            command("--json"),
            env=environment(tmp_path, **settings),
            cwd=tmp_path,
            check=False,
            capture_output=True,
            text=True,
        )
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=60)

    assert second.returncode == 2
    assert "in use by another flasharb process" in second.stderr
    assert process.returncode == 0


def test_an_unreachable_node_is_exit_code_3(tmp_path: Path) -> None:
    settings = {"FLASHARB_NODE_URL": "http://127.0.0.1:9", "FLASHARB_MESSAGE_BUS_ADDRESS": "/nowhere.sock"}
    finished = subprocess.run(
        command("--json"),
        env=environment(tmp_path, **settings),
        cwd=tmp_path,
        check=False,
        capture_output=True,
        text=True,
    )
    assert finished.returncode == 3
    assert "http://127.0.0.1:9" in finished.stderr
    assert "Traceback" not in finished.stderr


def test_live_on_the_embedded_devnet_is_wrong_usage(tmp_path: Path) -> None:
    finished = subprocess.run(
        command("--live"), env=environment(tmp_path), cwd=tmp_path, check=False, capture_output=True, text=True
    )
    assert finished.returncode == 2
    assert "--live" in finished.stderr


def finished(
    tmp_path: Path, *arguments: str, before: Callable[[], None] | None = None, **settings: str
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command(*arguments),
        env=environment(tmp_path, **settings),
        cwd=tmp_path,
        check=False,
        capture_output=True,
        text=True,
        preexec_fn=before,
        timeout=100,
    )


def assert_one_clear_error(run: subprocess.CompletedProcess[str], code: int, *words: str) -> None:
    assert run.returncode == code, run.stderr
    assert "Traceback" not in run.stderr
    for word in words:
        assert word in run.stderr


def test_a_data_directory_that_is_a_file_is_named_with_its_mend(tmp_path: Path) -> None:
    (tmp_path / "s").write_text("")
    assert_one_clear_error(finished(tmp_path), 3, str(tmp_path / "s"), "storage.data_dir")


def test_a_damaged_journal_is_named_with_its_line(tmp_path: Path) -> None:
    (tmp_path / "s").mkdir()
    (tmp_path / "s" / "journal.jsonl").write_text("{}\nnot json\n")
    assert_one_clear_error(finished(tmp_path), 3, "journal.jsonl is damaged in line 2", "move the file away")


@pytest.mark.slow
@pytest.mark.parametrize("limit", [0, 3_000, 40_000])
def test_a_full_disk_ends_the_run_by_name(tmp_path: Path, limit: int) -> None:
    """The limits are met by the devnet's files, its log, or a recorded block."""

    def before() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))

    run = finished(tmp_path, "--json", "--blocks", "40", before=before)

    assert_one_clear_error(run, 3, "the embedded devnet ended", "disk full" if limit == 0 else "File too large")
    assert processes_of(tmp_path) == []


@pytest.mark.slow
def test_a_reader_that_goes_away_ends_the_run_in_order(tmp_path: Path) -> None:
    with running(tmp_path, "--json") as process:
        until(process, "block")
        assert process.stdout is not None
        process.stdout.close()
        assert process.wait(timeout=60) == 0
        assert process.stderr is not None
        assert "Traceback" not in process.stderr.read()
    assert processes_of(tmp_path) == []


@pytest.mark.slow
def test_a_devnet_that_dies_is_the_reason_and_not_what_felt_it_first(tmp_path: Path) -> None:
    with running(tmp_path, "--json") as process:
        until(process, "block")
        (devnet,) = [one for one in pids_of(tmp_path) if one != process.pid]
        os.kill(devnet, signal.SIGKILL)
        assert process.wait(timeout=60) == 3
        assert process.stderr is not None
        words = process.stderr.read()
    assert "the embedded devnet ended with status -9" in words
    assert "Traceback" not in words
