"""`flasharb doctor` against the real devnet in a process of its own, and against everything missing."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest

from flasharb.cli.checks import Finding, check_clock, check_disk, check_key, examine_all
from flasharb.cli.doctor import line
from flasharb.cli.loading import load_settings
from flasharb.feed.events import BlockHeader
from flasharb.settings import Settings, Signer

CANARY = "c0ffee" * 10 + "abcd"


@pytest.fixture(scope="module")
def devnet(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SimpleNamespace]:
    """A running devnet; it ends when its stdin closes."""
    folder = tmp_path_factory.mktemp("devnet")
    command = [sys.executable, "-m", "flasharb.devnet", "--seed", "1", "--slot-s", "2", "--trades-per-slot", "0"]
    with subprocess.Popen(
        [*command, "--run-dir", str(folder)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    ) as process:
        assert process.stdout is not None
        yield SimpleNamespace(**json.loads(process.stdout.readline()))
        assert process.stdin is not None
        process.stdin.close()
        process.wait(30)


def variables(ready: SimpleNamespace, **changes: str) -> dict[str, str]:
    return {
        "NODE_URL": ready.rpc_url,
        "MESSAGE_BUS_ADDRESS": ready.bus_path,
        "RELAYS_URLS": ready.relay_url,
        "RELAYS_REQUEST_TIMEOUT_S": "30",
        "CONTRACT_ADDRESS": ready.contract,
        "CHAIN_WRAPPED_NATIVE": ready.weth,
        "CONTRACT_BALANCER_VAULT": ready.balancer_vault,
        "SIGNER_KEY_FILE": ready.signer_key_file,
    } | changes


def doctor(folder: Path, settings: dict[str, str], *arguments: str) -> subprocess.CompletedProcess[str]:
    environ = {name: value for name, value in os.environ.items() if not name.startswith("FLASHARB_")}
    environ |= {f"FLASHARB_{name}": value for name, value in settings.items()}
    environ["FLASHARB_STORAGE_DATA_DIR"] = str(folder)
    command = [sys.executable, "-m", "flasharb", "doctor", *arguments]
    return subprocess.run(command, cwd=folder, env=environ, capture_output=True, text=True, timeout=100, check=False)


async def look(folder: Path, settings: dict[str, str]) -> dict[str, Finding]:
    """The same checks without a process of their own."""
    environ = {f"FLASHARB_{name}": value for name, value in settings.items()}
    loaded = load_settings(Path(os.devnull), environ)
    return {finding.name: finding for finding in await examine_all(loaded.settings, environ, folder)}


NAMES = ["node", "bus", "contract", "key", "relays", "clock", "disk"]


def test_embedded_devnet_needs_nothing(tmp_path: Path) -> None:
    """A fresh machine: all is well, exit 0, and nothing was written."""
    result = doctor(tmp_path, {})

    assert result.returncode == 0, result.stdout + result.stderr
    assert [row.split()[1] for row in result.stdout.splitlines()] == NAMES
    assert all(row.startswith("ok ") for row in result.stdout.splitlines())
    assert list(tmp_path.iterdir()) == []


def test_running_chain_is_well(tmp_path: Path, devnet: SimpleNamespace) -> None:
    """Node, bus, contract, key, relay and clock, all through their real sockets; no identity key was made."""
    result = doctor(tmp_path, variables(devnet), "--json")

    assert result.stdout, result.stderr
    found = {one["name"]: one for one in json.loads(result.stdout)["checks"]}
    assert list(found) == NAMES
    # The clock may be off on a machine so busy that the devnet misses its slots.
    assert all(one["ok"] for name, one in found.items() if name != "clock"), result.stdout
    assert "ETH" in found["key"]["detail"]
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("changes", "name", "words"),
    [
        ({"NODE_URL": "http://127.0.0.1:1/"}, "node", "127.0.0.1:1"),
        ({"CHAIN_ID": "5", "SIGNER_KEY_FILE": ""}, "node", "serves chain 61861, chain.id is 5"),
        ({"MESSAGE_BUS_ADDRESS": "/nowhere.sock"}, "bus", "No such file"),
        ({"MESSAGE_BUS_ADDRESS": ""}, "bus", "no address"),
        ({"CONTRACT_ADDRESS": "0x00000000000000000000000000000000000000aa"}, "contract", "no code"),
        ({"CONTRACT_ADDRESS": "0xC02aaA39b223FE8D0A0e5C4F27eAD9083C756Cc2"}, "contract", "not this version's"),
        ({"CONTRACT_ADDRESS": ""}, "contract", "no address"),
        ({"SIGNER_KEY_FILE": "", "SIGNER_KEY": CANARY}, "contract", "owned by"),
        ({"SIGNER_KEY_FILE": "", "SIGNER_KEY": CANARY}, "key", "0.000000 ETH"),
        ({"SIGNER_KEY_FILE": "", "SIGNER_KEY": CANARY[:-1]}, "key", "64 hex digits"),
        ({"SIGNER_KEY_FILE": "/nowhere.key"}, "key", "/nowhere.key"),
        ({"RELAYS_URLS": "http://127.0.0.1:1/"}, "relays", "127.0.0.1:1"),
    ],
)
async def test_each_fault_is_found_with_its_mend(
    tmp_path: Path, devnet: SimpleNamespace, changes: dict[str, str], name: str, words: str
) -> None:
    """The right check fails and says what to do; the key appears nowhere."""
    found = await look(tmp_path, variables(devnet, **changes))

    assert not found[name].ok
    assert words in found[name].detail
    assert found[name].mend
    assert CANARY[:20] not in repr(found)


def test_a_fault_is_exit_1(tmp_path: Path) -> None:
    """One line of it on stdout."""
    result = doctor(tmp_path, {"RELAYS_URLS": "http://127.0.0.1:1/", "SIGNER_KEY": CANARY})

    assert result.returncode == 1, result.stderr
    assert [row.split()[1] for row in result.stdout.splitlines() if row.startswith("FAIL")] == ["relays"]
    assert CANARY[:20] not in result.stdout + result.stderr


def test_wrong_configuration_is_exit_2(tmp_path: Path) -> None:
    """Nothing is looked at before the configuration is sound."""
    result = doctor(tmp_path, {"STRATEGY_MAX_HOPS": "9"})

    assert result.returncode == 2
    assert "strategy.max_hops = 9" in result.stderr


def test_published_key_on_a_real_chain_is_found() -> None:
    """Before any run."""
    settings = Settings(signer=Signer(key_env="K"))
    mainnet = Settings(signer=settings.signer, chain=SimpleNamespace(id=1))

    published = {"K": "0x" + "00" * 31 + "01"}

    assert check_key(settings, published)[1].ok
    assert not check_key(mainnet, published)[1].ok


@pytest.mark.parametrize(("age_s", "ok"), [(0, True), (7.9, True), (-1.9, True), (8.1, False), (-2.1, False)])
def test_clock_against_the_head(age_s: float, ok: bool) -> None:
    """Four slots of 2 s back, two seconds ahead."""
    header = BlockHeader(1, bytes(32), bytes(32), 1_000_000, 0, 0, 0, bytes(20))

    assert check_clock(Settings(), header, 1_000_000 + age_s).ok is ok


def test_disk_that_cannot_be_written(tmp_path: Path) -> None:
    """A data directory under a file."""
    file = tmp_path / "file"
    file.write_text("")

    assert check_disk(tmp_path / "not" / "yet").ok
    assert not check_disk(Path("/proc/flasharb")).ok


def test_lines() -> None:
    """One line each, the mend behind an arrow."""
    assert line(Finding("bus", True, "connects")) == "ok   bus       connects"
    assert line(Finding("bus", False, "no address", "set it")) == "FAIL bus       no address  → set it"
