"""The real Vault and its pools in the local EVM, with any state written into their storage.

The Vault, the provider of protocol fees and a pool are created by their own creation code. What they leave behind is
copied into a fresh world for each case; then balances, fees and rates are written over it and one ``swap`` is sent.

The code of some versions is not in this repository (see fixtures/README.md): whoever has it gives a folder with a JSON
file a kind, ``{"bytecode": "0x…"}``, in the environment variable ``FLASHARB_BALANCER``.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any

from eth_hash.auto import keccak

from flasharb.evm import Account, DictState, Fork, LogEntry, Machine
from flasharb.units import Address, Hash32
from tests.support.abi import encode
from tests.support.assembly import assemble
from tests.support.pool_bytecode import CONTEXT, SENDER, RevertedError, applied, creation_code, number, send

ARTIFACTS = os.environ.get("FLASHARB_BALANCER")
FIXTURES = {
    "weighted_v1": "BalancerWeightedV1",
    "weighted_2tokens_v1": "BalancerWeighted2TokensV1",
    "weighted_v2": "BalancerWeightedV2",
    "weighted_v3": "BalancerWeightedV3",
    "stable_v1": "BalancerStableV1",
    "stable_v2": "BalancerStableV2",
    "stable_v3": "BalancerStableV3",
}
"""The versions whose code is in ``fixtures/bytecode``, and under what name."""

CREATOR = Address(bytes.fromhex("00000000000000000000000000000000c0ffee00"))
RATE_PROVIDER = Address(bytes.fromhex("0000000000000000000000000000000000fa7e00"))
PLENTY = 1 << 200
RATE_DURATION = 1000
PAUSABLE = (1000, 77)
"""How long after its creation a pool may be paused, and how long such a pause may last beyond that, in seconds."""

SWAP = keccak(b"swap((bytes32,uint8,address,address,uint256,bytes),(address,bool,address,bool),uint256,uint256)")[:4]
GET_POOL_ID = keccak(b"getPoolId()")[:4]

# creates what it is sent
CREATOR_CODE = assemble("CALLDATASIZE 0 0 CALLDATACOPY CALLDATASIZE 0 0 CREATE 0 MSTORE 32 0 RETURN")
RATE_CODE = assemble("0 SLOAD 0 MSTORE 32 0 RETURN")


def _selector(signature: bytes) -> int:
    return int.from_bytes(keccak(signature)[:4], "big")


@cache
def token_code(decimals: int) -> bytes:
    """A token whose balances stand in the slot that is the holder's address, and which asks nobody for leave."""
    return assemble(
        f"""
        0 CALLDATALOAD 224 SHR
        DUP1 0x{_selector(b"transfer(address,uint256)"):x} EQ @transfer JUMPI
        DUP1 0x{_selector(b"transferFrom(address,address,uint256)"):x} EQ @from JUMPI
        DUP1 0x{_selector(b"balanceOf(address)"):x} EQ @balance JUMPI
        DUP1 0x{_selector(b"decimals()"):x} EQ @decimals JUMPI
        DUP1 0x{_selector(b"symbol()"):x} EQ @symbol JUMPI
        0 0 REVERT
        balance:
        4 CALLDATALOAD SLOAD 0 MSTORE 32 0 RETURN
        decimals:
        {decimals} 0 MSTORE 32 0 RETURN
        symbol:
        32 0 MSTORE 1 32 MSTORE 0x{0x54 << 248:x} 64 MSTORE 96 0 RETURN
        transfer:
        36 CALLDATALOAD CALLER SLOAD SUB CALLER SSTORE
        4 CALLDATALOAD SLOAD 36 CALLDATALOAD ADD 4 CALLDATALOAD SSTORE
        1 0 MSTORE 32 0 RETURN
        from:
        68 CALLDATALOAD 4 CALLDATALOAD SLOAD SUB 4 CALLDATALOAD SSTORE
        36 CALLDATALOAD SLOAD 68 CALLDATALOAD ADD 36 CALLDATALOAD SSTORE
        1 0 MSTORE 32 0 RETURN
        """
    )


def token(index: int) -> Address:
    """The address of a token, from 0 to 14; they ascend, and those from 13 on stand above the pool's own address."""
    return Address(bytes([0x10 + 0x10 * index]) * 20)


@dataclass(frozen=True, slots=True)
class World:
    """Accounts after a deployment, and what was made."""

    accounts: Mapping[bytes, Account]
    vault: Address
    pool: Address
    pool_id: Hash32
    tokens: tuple[Address, ...]

    def machine(self, storage: Mapping[bytes, Mapping[int, int]], timestamp: int = CONTEXT.timestamp) -> Machine:
        """A fresh world with these slots written over it."""
        accounts = dict(self.accounts)
        for address, slots in storage.items():
            old = accounts[address]
            accounts[address] = Account(old.nonce, old.balance, old.code, {**old.storage, **slots})
        return Machine(DictState(accounts), replace(CONTEXT, timestamp=timestamp), Fork.PRAGUE)

    def swap(self, machine: Machine, kind: int, i: int, j: int, amount: int) -> tuple[int, tuple[LogEntry, ...]]:
        """``vault.swap``: kind 0 is given in, 1 is given out; what the Vault calculated, and its logs."""
        single = (self.pool_id, kind, self.tokens[i], self.tokens[j], amount, bytearray())
        funds = (SENDER, 0, SENDER, 0)
        limit = 0 if kind == 0 else 1 << 250
        result = applied(machine, self.vault, SWAP + encode(single, funds, limit, 1 << 60))
        return int.from_bytes(result.output, "big"), result.logs


def accounts_of(machine: Machine, before: Mapping[bytes, Account]) -> dict[bytes, Account]:
    """The whole world as it stands now."""
    accounts = dict(before)
    for address, change in machine.diff().items():
        old = accounts.get(address, Account())
        storage = {} if change.storage_cleared else dict(old.storage)
        storage.update(change.storage)
        info = change.account
        accounts[address] = Account(
            info.nonce if info else old.nonce,
            info.balance if info else old.balance,
            change.code if change.code is not None else old.code,
            {slot: value for slot, value in storage.items() if value},
        )
    return accounts


def code_of(kind: str) -> bytes:
    """The creation code of this version."""
    if kind in FIXTURES:
        return creation_code(FIXTURES[kind])
    assert ARTIFACTS is not None
    return bytes.fromhex(json.loads((Path(ARTIFACTS) / f"{kind}.json").read_text())["bytecode"][2:])


def create(machine: Machine, name: str, *arguments: Any) -> Address:
    """Run the creation code of a version or of another fixture."""
    code = code_of(name) if name.startswith(("weighted", "stable")) else creation_code(name)
    made = send(machine, CREATOR, code + encode(*arguments))[12:]
    if not any(made):
        raise RevertedError(f"the constructor of {name} reverted")
    return Address(made)


@cache
def _vault(decimals: tuple[int, ...], places: tuple[int, ...]) -> tuple[Mapping[bytes, Account], Address, Address]:
    """A world with tokens, Vault and fee provider."""
    accounts = {CREATOR: Account(nonce=1, code=CREATOR_CODE)}
    for index, digits in zip(places, decimals, strict=True):
        accounts[token(index)] = Account(nonce=1, code=token_code(digits), storage={number(SENDER): PLENTY})
        accounts[rate_provider(index)] = Account(nonce=1, code=RATE_CODE, storage={0: 10**18})
    machine = Machine(DictState(accounts), CONTEXT, Fork.PRAGUE)
    vault = create(machine, "BalancerVault", SENDER, token(places[0]), 0, 0)
    fees = create(machine, "BalancerFeePercentages", vault, 10**18, 10**18)
    made = accounts_of(machine, accounts)
    for index in places:
        made[token(index)].storage[number(vault)] = PLENTY
    return made, vault, fees


def rate_provider(index: int) -> Address:
    """The rate provider of a token, which answers with its slot 0."""
    return Address((number(RATE_PROVIDER) + index).to_bytes(20, "big"))


def _world(
    accounts: Mapping[bytes, Account], machine: Machine, vault: Address, pool: Address, tokens: list[Address]
) -> World:
    pool_id = Hash32(send(machine, pool, GET_POOL_ID))
    return World(accounts_of(machine, accounts), vault, pool, pool_id, tuple(tokens))


@cache
def weighted_world(kind: str, decimals: tuple[int, ...], weights: tuple[int, ...]) -> World:
    """A weighted pool of one of the ``WeightedKind``; its fee is written by the case."""
    count = len(decimals)
    accounts, vault, fees = _vault(decimals, tuple(range(count)))
    machine = Machine(DictState(dict(accounts)), CONTEXT, Fork.PRAGUE)
    tokens, nobody = [token(index) for index in range(count)], bytes(20)
    fee = 10**15
    if kind == "weighted_v1":
        pool = create(machine, kind, vault, "pool", "P", tokens, list(weights), fee, *PAUSABLE, nobody)
    elif kind == "weighted_2tokens_v1":
        params = (vault, "pool", "P", *tokens, *weights, fee, *PAUSABLE, 0, nobody)
        pool = create(machine, kind, params)
    else:
        params = ("pool", "P", tokens, list(weights), [nobody] * count, [nobody] * count, fee)
        version = () if kind == "weighted_v2" else ("3",)
        pool = create(machine, kind, params, vault, fees, *PAUSABLE, nobody, *version)
    return _world(accounts, machine, vault, pool, tokens)


@cache
def stable_world(
    kind: str, decimals: tuple[int, ...], rated: tuple[bool, ...], exempt: tuple[bool, ...], above: int
) -> World:
    """A composable stable pool of one of the ``StableKind``, ``above`` of whose tokens stand above its own address.

    ``tokens`` of the world are those of the pool, its own among them.
    """
    places = (*range(len(decimals) - above), *range(13, 13 + above))
    accounts, vault, fees = _vault(decimals, places)
    machine = Machine(DictState(dict(accounts)), CONTEXT, Fork.PRAGUE)
    tokens, nobody = [token(place) for place in places], bytes(20)
    providers = [rate_provider(place) if flag else nobody for place, flag in zip(places, rated, strict=True)]
    durations = [RATE_DURATION if flag else 0 for flag in rated]
    flags = any(exempt) if kind == "stable_v5" else list(exempt)
    params: tuple[Any, ...] = (vault, fees, "pool", "P", tokens, providers, durations, flags)
    version = () if kind == "stable_v1" else ("3",)
    pool = create(machine, kind, (*params, 100, 10**15, *PAUSABLE, nobody, *version))
    return _world(accounts, machine, vault, pool, sorted([*tokens, pool]))


__all__ = [
    "ARTIFACTS",
    "FIXTURES",
    "World",
    "accounts_of",
    "code_of",
    "create",
    "rate_provider",
    "stable_world",
    "token",
    "weighted_world",
]
