"""``flasharb contract``: build, deploy and verify, on a real node."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
import trio
from click.testing import CliRunner, Result

from flasharb.adapters.node import open_node
from flasharb.cli.contract import command, created_address
from flasharb.errors import FlasharbError
from flasharb.execution.signing import SigningKey
from flasharb.units import address, checksum, hex0x
from tests.support.contract_world import compiled
from tests.support.node_tools import REPOSITORY, require_tool, running_anvil

KEY = "0x" + "5a" * 32
NODE = "http://127.0.0.1:1"


def invoke(*arguments: str, env: dict[str, str] | None = None) -> Result:
    return CliRunner().invoke(command, list(arguments), env=env, standalone_mode=False)


def exit_code(result: Result) -> int:
    if isinstance(result.exception, FlasharbError):
        return result.exception.exit_code
    assert result.exception is None, result.exception
    return int(result.return_value or 0)


def test_building_without_node_says_what_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    result = invoke("build")
    assert exit_code(result) == 3
    assert "Node.js is missing" in str(result.exception)


def test_building_without_the_tools_says_how_to_get_them(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("flasharb.cli.contract.SOLIDITY", tmp_path)
    monkeypatch.setattr("shutil.which", lambda name: f"/somewhere/{name}")
    result = invoke("build")
    assert exit_code(result) == 3
    assert "./just node-tools" in str(result.exception)


def test_an_unreachable_node_is_an_outside_failure() -> None:
    result = invoke("verify", "0x" + "11" * 20, "--rpc", NODE)
    assert exit_code(result) == 3


def test_verify_asks_which_contract() -> None:
    result = invoke("verify", "--rpc", NODE)
    assert exit_code(result) == 2
    assert "which contract" in str(result.exception)


def test_verify_asks_which_node() -> None:
    result = invoke("verify", "0x" + "11" * 20)
    assert exit_code(result) == 2
    assert "which node" in str(result.exception)


def test_the_address_of_a_created_contract() -> None:
    """Known pairs: the first contracts of an account used in the Ethereum documentation."""
    sender = address("0x6ac7ea33f8831ea9dcc53393aaa88b25a785dbf0")
    assert checksum(created_address(sender, 0)).lower() == "0xcd234a471b72ba2f1ccf0a70fcaba648a5eecd8d"
    assert checksum(created_address(sender, 1)).lower() == "0x343c43a37d37dff08ae8c4a11544c718abb4fcf8"


@pytest.mark.node
@pytest.mark.slow
@pytest.mark.timeout(400)
async def test_deploy_and_verify_on_anvil(tmp_path: Path) -> None:
    key = SigningKey.from_hex(KEY)
    config = tmp_path / "config.toml"

    async def flasharb(*arguments: str) -> tuple[int, dict[str, object]]:
        environ = {"FLASHARB_SIGNER_KEY": KEY, "PATH": "", "ETH_HASH_BACKEND": "pysha3"}
        line = [sys.executable, "-m", "flasharb", "contract", *arguments, "--config", str(config), "--json"]
        done = await trio.run_process(line, capture_stdout=True, capture_stderr=True, check=False, env=environ)
        return done.returncode, json.loads(done.stdout or b"{}")

    async with (
        running_anvil("--chain-id", "31337", "--hardfork", "prague") as host,
        open_node(f"http://{host}", timeout_s=30) as node,
    ):
        weth = "0x" + "77" * 20
        await node.call("anvil_setCode", weth, compiled("WETH9")["deployed_bytecode"])
        await node.call("anvil_setBalance", hex0x(key.address), hex(10**18))
        config.write_text(
            f'[chain]\nid = 31337\nwrapped_native = "{checksum(address(weth))}"\n[node]\nurl = "http://{host}"\n'
        )

        code, planned = await flasharb("deploy")
        assert (code, planned["live"]) == (0, False)
        assert await node.call("eth_getTransactionCount", hex0x(key.address), "latest") == "0x0"

        code, sent = await flasharb("deploy", "--live")
        assert (code, sent["ok"], sent["contract"]) == (0, True, planned["contract"])

        code, verified = await flasharb("verify", str(sent["contract"]))
        assert (code, verified["ok"], verified["owner"]) == (0, True, checksum(key.address))

        code, refused = await flasharb("verify", weth)
        assert (code, refused["ok"]) == (1, False)
        code, refused = await flasharb("verify", "0x" + "11" * 20)
        assert (code, refused["reason"]) == (1, "no code at this address")


@pytest.mark.node
@pytest.mark.slow
@pytest.mark.timeout(400)
def test_the_committed_artifacts_are_what_the_sources_compile_to() -> None:
    require_tool("solcjs")
    done = subprocess.run(
        ["node", "build.mjs", "--check"], cwd=REPOSITORY / "solidity", capture_output=True, check=False
    )
    assert done.returncode == 0, done.stdout.decode() + done.stderr.decode()
