"""Whole transactions of every type on our engine against stock py-evm, whose executors do what ``evm.entry`` does."""

from __future__ import annotations

import random
from typing import Any

import pytest
from eth_account import Account as Signer

from flasharb.evm import Account, Fork, InvalidTransaction, Machine
from flasharb.evm.compiler import Compiler
from tests.support.evm_fuzz import ALICE, KEY, NOWHERE, THIRD, Programs, plain, world
from tests.support.worlds import BOB, CHAIN_ID, COINBASE, CONTRACT, ETH, GWEI, OTHER, context

WORLDS = 400
AUTHORITY = b"\x44" * 32
PRECOMPILES = tuple(bytes(19) + bytes([number]) for number in (3, 4, 9))
TARGETS = (CONTRACT, CONTRACT, OTHER, THIRD, BOB, NOWHERE, ALICE, COINBASE, *PRECOMPILES)
SINCE = {0: Fork.BERLIN, 1: Fork.BERLIN, 2: Fork.LONDON, 3: Fork.CANCUN, 4: Fork.PRAGUE}


class Transactions:
    """Signed transactions, most of them valid."""

    def __init__(self, dice: random.Random, programs: Programs, fork: Fork) -> None:
        self.dice, self.programs, self.fork = dice, programs, fork
        self.kinds = [kind for kind, since in SINCE.items() if fork.since(since)]

    def make(self, nonce: int) -> bytes:
        dice = self.dice
        kind = dice.choice(self.kinds)
        creates = kind < 3 and dice.random() < 0.25
        data = self.programs.program() if creates else dice.choice((b"", dice.randbytes(68), bytes(100)))
        fields: dict[str, Any] = {
            "nonce": nonce if dice.random() < 0.97 else nonce + 1,
            "gas": dice.choice((21_000, 25_000, 60_000, 150_000, 200_000)) + dice.randrange(3_000),
            "to": b"" if creates else dice.choice(TARGETS),
            "value": dice.choice((0, 0, 1, ETH, 200 * ETH) if dice.random() < 0.3 else (0, 1)),
            "data": data,
            "chainId": CHAIN_ID,
        }
        if kind in (0, 1):
            fields["gasPrice"] = dice.choice((GWEI, 2 * GWEI, 3 * GWEI + 7))
        else:
            fields["maxFeePerGas"] = dice.choice((GWEI, 2 * GWEI, 5 * GWEI))
            fields["maxPriorityFeePerGas"] = dice.choice((0, 1, GWEI))
        if kind:
            fields |= {"type": kind, "accessList": self._access_list()}
        if kind == 3:
            fields["maxFeePerBlobGas"] = dice.choice((0, 1, 1, 50))
            fields["blobVersionedHashes"] = [b"\x01" + dice.randbytes(31) for _ in range(dice.choice((1, 1, 2, 6, 7)))]
        if kind == 4:
            fields["authorizationList"] = [self._authorization(nonce) for _ in range(dice.choice((1, 1, 2)))]
        return bytes(Signer.sign_transaction(fields, KEY).raw_transaction)

    def _access_list(self) -> list[dict[str, Any]]:
        dice = self.dice
        addresses = dice.choices((CONTRACT, OTHER, THIRD, NOWHERE), k=dice.randrange(3))
        return [
            {"address": "0x" + address.hex(), "storageKeys": [f"{dice.randrange(5):#066x}"] * dice.randrange(3)}
            for address in addresses
        ]

    def _authorization(self, nonce: int) -> Any:
        dice = self.dice
        fields = {
            "chainId": dice.choice((CHAIN_ID, CHAIN_ID, 0, 5)),
            "address": dice.choice((CONTRACT, OTHER, NOWHERE, bytes(20), BOB)),
            "nonce": dice.choice((0, 0, 1, nonce + 1)),
        }
        return Signer.sign_authorization(fields, dice.choice((AUTHORITY, KEY)))


def applied(machine: Machine, raw: bytes) -> Any:
    try:
        result = machine.apply(raw)
    except InvalidTransaction as error:
        return str(error)
    return plain(result), result.effective_gas_price, result.coinbase_payment, result.contract_address


@pytest.mark.slow
def test_transactions_of_every_type_do_what_they_do_on_py_evm() -> None:
    """Result, price, payment, refusal and state, under the rules of every fork, one after another on one state."""
    dice = random.Random(7702)
    programs = Programs(dice)
    compiler = Compiler(warm=3)
    outcomes = {"succeeded": 0, "failed": 0, "refused": 0}
    for _ in range(WORLDS):
        codes = (programs.program(), programs.program(), programs.program())
        fork = dice.choice(tuple(Fork))
        source = world(codes)
        source.set_account(COINBASE, dice.choice((None, Account(balance=5))))
        machines = [
            Machine(source, context(fork), fork, "stock"),
            Machine(source, context(fork), fork, compiler=compiler),
        ]
        transactions = Transactions(dice, programs, fork)
        for _ in range(3):
            nonce = machines[0].nonce(ALICE)
            raw = transactions.make(nonce)
            stock, ours = (applied(machine, raw) for machine in machines)
            shown = fork, [code.hex() for code in codes], raw.hex()
            assert ours == stock, shown
            assert machines[1].diff() == machines[0].diff(), shown
            assert machines[1].gas_used == machines[0].gas_used, shown
            outcomes["refused" if isinstance(ours, str) else "succeeded" if ours[0][0] else "failed"] += 1
    assert min(outcomes.values()) > WORLDS // 8, outcomes
