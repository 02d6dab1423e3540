"""Runs cases of the official Ethereum state tests (``ethereum/tests``, GeneralStateTests) on our machine."""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import rlp
from eth_hash.auto import keccak

from flasharb.evm import Account, BlockContext, DictState, Fork, InvalidTransaction, LogEntry, Machine
from flasharb.evm.roots import state_root


@dataclass(frozen=True, slots=True)
class Case:
    """One transaction of ``test`` on one world. ``expected_root`` and ``expected_logs`` are hashes."""

    name: str
    test: str
    fork: Fork
    env: dict[str, Any]
    pre: dict[str, Any]
    raw: bytes
    expected_root: str
    expected_logs: str
    invalid: str | None


def cases(path: Path) -> Iterator[Case]:
    """All cases of a category file."""
    for name, test in json.loads(gzip.decompress(path.read_bytes())).items():
        for fork, posts in test["post"].items():
            for post in posts:
                at = post["indexes"]
                yield Case(
                    name=f"{path.name.removesuffix('.json.gz')}/{name}[{at['data']},{at['gas']},{at['value']}]",
                    test=name,
                    fork=Fork(fork.lower()),
                    env=test["env"],
                    pre=test["pre"],
                    raw=_hex(post["txbytes"]),
                    expected_root=post["hash"],
                    expected_logs=post["logs"],
                    invalid=post.get("expectException"),
                )


def run(case: Case, engine: Any = "py-evm") -> str | None:
    """What is wrong, None when nothing is."""
    world = DictState({_hex(address): _account(value) for address, value in case.pre.items()})
    world.block_hashes = _Hashes()
    machine = Machine(world, _context(case.env), case.fork, engine)
    try:
        result = machine.apply(case.raw)
    except InvalidTransaction as error:
        if case.invalid is None:
            return f"refused: {error}"
        logs: tuple[LogEntry, ...] = ()
    else:
        if case.invalid is not None:
            return f"accepted, expected {case.invalid}"
        logs = result.logs
    world.apply(machine.diff())
    root = "0x" + state_root(world.accounts).hex()
    if root != case.expected_root:
        return f"state root {root}, expected {case.expected_root}"
    logs_hash = "0x" + keccak(rlp.encode([[log.address, list(log.topics), log.data] for log in logs])).hex()
    return None if logs_hash == case.expected_logs else f"logs hash {logs_hash}, expected {case.expected_logs}"


def _hex(text: str) -> bytes:
    return bytes.fromhex(text[2:])


def _account(value: dict[str, Any]) -> Account:
    storage = {int(slot, 16): int(word, 16) for slot, word in value["storage"].items()}
    return Account(int(value["nonce"], 16), int(value["balance"], 16), _hex(value["code"]), storage)


class _Hashes(dict[int, bytes]):
    """The tests define the hash of block n as the hash of its decimal digits."""

    def __missing__(self, number: int) -> bytes:
        return keccak(str(number).encode())


def _context(env: dict[str, Any]) -> BlockContext:
    number = int(env["currentNumber"], 16)
    return BlockContext(
        chain_id=1,
        number=number,
        timestamp=int(env["currentTimestamp"], 16),
        coinbase=_hex(env["currentCoinbase"]),
        gas_limit=int(env["currentGasLimit"], 16),
        base_fee_per_gas=int(env.get("currentBaseFee", "0x0"), 16),
        prev_randao=_hex(env["currentRandom"]).rjust(32, b"\0"),
        excess_blob_gas=int(env.get("currentExcessBlobGas", "0x0"), 16),
        parent_hash=keccak(str(number - 1).encode()),
    )
