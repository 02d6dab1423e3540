"""The other EVMs that calls are measured against, loaded with the same world."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path
from time import perf_counter, process_time
from typing import Any

import httpx

from benchmarks.evm_world import CONTEXT, ME
from flasharb.evm import DictState

try:
    import pyrevm
except ImportError:
    pyrevm = None

GAS = 30_000_000
Call = Callable[[bytes, bytes], bytes]
"""Contract and call data to output."""


def revm_name() -> str | None:
    """Name and version of revm's Python binding; None where it is not installed (``pip install pyrevm``)."""
    return None if pyrevm is None else f"pyrevm {version('pyrevm')}"


def revm_seconds(state: DictState, to: bytes, data: bytes, expected: bytes, repeat: int = 5) -> float:
    """CPU seconds of a call, best of several, each in a fresh EVM: one that has run before gives other answers."""
    best = float("inf")
    for _ in range(repeat):
        evm = _loaded_revm(state)
        start = process_time()
        output = evm.message_call(_hex(ME), _hex(to), data, 0, GAS)
        best = min(best, process_time() - start)
        # Not the fourth word: QuoterV2 answers there with the gas that it has measured, which is wrong in this binding.
        if (output[:96], output[128:]) != (expected[:96], expected[128:]):
            raise RuntimeError(f"pyrevm answers {output.hex()}, ours {expected.hex()}")
    return best


def _loaded_revm(state: DictState) -> Any:
    # An unknown name is taken for another rule set without a word; "Cancun" is one that is known.
    evm = pyrevm.EVM(spec_id="Cancun")
    evm.set_block_env(pyrevm.BlockEnv(number=CONTEXT.number, timestamp=CONTEXT.timestamp, gas_limit=CONTEXT.gas_limit))
    for address, account in state.accounts.items():
        if account is None:
            continue
        info = pyrevm.AccountInfo(balance=account.balance, nonce=account.nonce, code=account.code)
        evm.insert_account_info(_hex(address), info)
        for slot, value in account.storage.items():
            evm.insert_account_storage(_hex(address), slot, value)
    return evm


class Anvil:
    """A running anvil with the world as its genesis."""

    def __init__(self, url: str, client: httpx.Client) -> None:
        self._url, self._client = url, client
        said = self._ask("web3_clientVersion", [])
        self.name = f"{said.split('-')[0]} eth_call over HTTP"

    def _ask(self, method: str, params: list[Any]) -> Any:
        answer = self._client.post(self._url, json={"jsonrpc": "2.0", "id": 1, "method": method, "params": params})
        body = answer.json()
        if "error" in body:
            raise RuntimeError(f"anvil: {method}: {body['error']}")
        return body["result"]

    def seconds(self, to: bytes, data: bytes, expected: bytes, repeat: int = 40) -> float:
        """Seconds from question to answer, best of several."""
        transaction = {"from": _hex(ME), "to": _hex(to), "data": "0x" + data.hex(), "gas": hex(GAS)}
        best = float("inf")
        for _ in range(repeat):
            start = perf_counter()
            output = self._ask("eth_call", [transaction, "latest"])
            best = min(best, perf_counter() - start)
            if output != "0x" + expected.hex():
                raise RuntimeError(f"anvil answers {output}, ours 0x{expected.hex()}")
        return best


@contextmanager
def running_anvil(state: DictState) -> Iterator[Anvil | None]:
    """An anvil with this world; None where Node.js or the npm tools are missing (``./just node-tools``)."""
    tool = Path(__file__).resolve().parents[1] / "solidity" / "node_modules" / ".bin" / "anvil"
    if not tool.exists() or shutil.which("node") is None:
        yield None
        return
    with tempfile.TemporaryDirectory() as folder:
        genesis = Path(folder) / "genesis.json"
        genesis.write_text(json.dumps(_genesis(state)))
        process = subprocess.Popen(
            [str(tool), "--port", "0", "--init", str(genesis), "--hardfork", "cancun"],
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            start_new_session=True,
        )
        try:
            assert process.stdout is not None
            address = next(line.split()[-1] for line in process.stdout if line.startswith("Listening on "))
            with httpx.Client(timeout=60) as client:
                yield Anvil(f"http://{address}", client)
        finally:
            # The npm package starts the program behind a script: end both.
            os.killpg(process.pid, 9)
            process.wait()


def _genesis(state: DictState) -> dict[str, Any]:
    forks = ("homestead", "eip150", "eip155", "eip158", "byzantium", "constantinople", "petersburg", "istanbul")
    blocks = {f"{fork}Block": 0 for fork in (*forks, "berlin", "london", "mergeNetsplit")}
    return {
        "config": {
            "chainId": CONTEXT.chain_id,
            **blocks,
            "shanghaiTime": 0,
            "cancunTime": 0,
            "terminalTotalDifficulty": 0,
            "terminalTotalDifficultyPassed": True,
        },
        "nonce": "0x0",
        "timestamp": hex(CONTEXT.timestamp),
        "extraData": "0x",
        "gasLimit": hex(GAS),
        "difficulty": "0x0",
        "mixHash": _hex(bytes(32)),
        "coinbase": _hex(bytes(20)),
        "baseFeePerGas": "0x0",
        "alloc": {
            _hex(address): {
                "nonce": hex(account.nonce),
                "balance": hex(account.balance),
                "code": _hex(account.code),
                "storage": {f"0x{slot:064x}": f"0x{value:064x}" for slot, value in account.storage.items()},
            }
            for address, account in state.accounts.items()
            if account is not None
        },
    }


def _hex(data: bytes) -> str:
    return "0x" + data.hex()
