"""Real pairs of Solidly and its forks in the local EVM, with any state written into their storage.

Their code is not in this repository (see fixtures/README.md): whoever has it compiled gives a folder with one JSON file
a kind, ``{contract name: {"bytecode": "0x…"}}``, in the environment variable ``FLASHARB_SOLIDLY``.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from eth_hash.auto import keccak

from flasharb.evm import Account, DictState, Fork, Machine
from flasharb.units import Address
from tests.support.abi import encode
from tests.support.balancer_world import CREATOR, CREATOR_CODE, accounts_of, token, token_code
from tests.support.pool_bytecode import CONTEXT, SENDER, creation_code, number, send

ARTIFACTS = os.environ.get("FLASHARB_SOLIDLY")

# kind: (file, pair, factory, how the factory is asked for a pair)
CONTRACTS = {
    "solidly_v1": ("solidly_v1.json", "BaseV1Pair", "BaseV1Factory", b"createPair(address,address,bool)"),
    "velodrome_v1": ("velodrome_v1.json", "Pair", "PairFactory", b"createPair(address,address,bool)"),
    "velodrome_v2": ("velodrome_v2.json", "Pool", "PoolFactory", b"createPool(address,address,bool)"),
    "velodrome_v2_r2": ("velodrome_v2_r2.json", "Pool", "PoolFactory", b"createPool(address,address,bool)"),
}

GET_AMOUNT_OUT = keccak(b"getAmountOut(uint256,address)")[:4]
SWAP = keccak(b"swap(uint256,uint256,address,bytes)")[:4]


@dataclass(frozen=True, slots=True)
class PairWorld:
    """Accounts after a pair was created by its factory."""

    accounts: Mapping[bytes, Account]
    pair: Address
    factory: Address
    tokens: tuple[Address, Address]

    def machine(self, storage: Mapping[bytes, Mapping[int, int]], balances: tuple[int, int]) -> Machine:
        """A fresh world with these slots written over it, and the pair's token balances."""
        slots: dict[bytes, dict[int, int]] = {address: dict(part) for address, part in storage.items()}
        for at, balance in zip(self.tokens, balances, strict=True):
            slots[at] = {number(self.pair): balance}
        accounts = dict(self.accounts)
        for address, part in slots.items():
            old = accounts[address]
            accounts[address] = Account(old.nonce, old.balance, old.code, {**old.storage, **part})
        return Machine(DictState(accounts), CONTEXT, Fork.PRAGUE)

    def quote(self, machine: Machine, i: int, amount_in: int) -> int:
        """``getAmountOut``."""
        return int.from_bytes(send(machine, self.pair, GET_AMOUNT_OUT + encode(amount_in, self.tokens[i])), "big")

    def swap(self, machine: Machine, j: int, amount_out: int) -> None:
        """Ask the pair for this much; it has been paid."""
        wanted = (0, amount_out) if j else (amount_out, 0)
        send(machine, self.pair, SWAP + encode(*wanted, SENDER, bytearray()))


def creation_codes(kind: str) -> dict[str, bytes]:
    """The code of a kind's pair and factory by contract name, from the folder that is named."""
    assert ARTIFACTS is not None
    file, pair_name, factory_name, _ = CONTRACTS[kind]
    artifacts = json.loads((Path(ARTIFACTS) / file).read_text())
    return {name: bytes.fromhex(artifacts[name]["bytecode"][2:]) for name in (pair_name, factory_name)}


@cache
def pair_world(kind: str, stable: bool, decimals: tuple[int, int]) -> PairWorld:
    """A pair of this kind, made by its own factory."""
    _, pair_name, factory_name, signature = CONTRACTS[kind]
    codes = creation_codes(kind)

    def make_factory(machine: Machine) -> Address:
        if not kind.startswith("velodrome_v2"):
            return _create(machine, codes[factory_name])
        first = _create(machine, codes[pair_name])
        more = (SENDER, SENDER, SENDER) if kind == "velodrome_v2" else ()
        try:
            return _create(machine, codes[factory_name], first)
        except AssertionError:
            return _create(machine, codes[factory_name], first, *more)

    return _world(decimals, make_factory, signature, stable)


@cache
def devnet_world(stable: bool, decimals: tuple[int, int]) -> PairWorld:
    """A pair of the devnet's own, made by the devnet's factory."""

    def make_factory(machine: Machine) -> Address:
        return _create(machine, creation_code("DevSolidlyFactory"), SENDER, 1, 20)

    return _world(decimals, make_factory, b"createPair(address,address,bool)", stable)


def _world(
    decimals: tuple[int, int], make_factory: Callable[[Machine], Address], signature: bytes, stable: bool
) -> PairWorld:
    tokens = (token(0), token(1))
    accounts = {CREATOR: Account(nonce=1, code=CREATOR_CODE)}
    for at, digits in zip(tokens, decimals, strict=True):
        accounts[at] = Account(nonce=1, code=token_code(digits))
    machine = Machine(DictState(accounts), CONTEXT, Fork.PRAGUE)
    factory = make_factory(machine)
    pair = Address(send(machine, factory, keccak(signature)[:4] + encode(*tokens, stable))[12:])
    return PairWorld(accounts_of(machine, accounts), pair, factory, tokens)


def _create(machine: Machine, code: bytes, *arguments: Any) -> Address:
    made = send(machine, CREATOR, code + encode(*arguments))[12:]
    assert any(made), "a contract was not created"
    return Address(made)
