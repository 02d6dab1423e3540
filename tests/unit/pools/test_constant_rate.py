"""WETH and the lite PSM against their own bytecode: what is paid, the state after it, the logs, refusals."""

from __future__ import annotations

from dataclasses import replace
from random import Random

import pytest
from eth_abi.abi import encode
from eth_hash.auto import keccak

from flasharb.evm import Account, DictState, Fork, LogEntry, Machine, TransactionResult, UnsignedTransaction
from flasharb.feed.events import PoolLog
from flasharb.market.transition import Inconsistent, next_state
from flasharb.pools import InsufficientLiquidity, PoolSpec
from flasharb.pools.constant_rate.files import LITE_PSM, read_psm_facts
from flasharb.pools.constant_rate.pool import ConstantRatePool
from flasharb.pools.constant_rate.storage import PsmFacts
from flasharb.pools.loading import Elsewhere, Refused, load_pool, mapping_slot
from flasharb.pools.protocols import check_address
from flasharb.units import WAD, ZERO_ADDRESS, Address, address
from tests.support.assembly import assemble
from tests.support.market_samples import address_of
from tests.support.pool_bytecode import CONTEXT, SENDER, creation_code, word
from tests.support.psm_world import join_code, load_psm

GEM, DAI, POCKET, JOIN = (address_of(name) for name in ("gem", "dai", "pocket", "join"))
_SELECTOR = {
    name: int.from_bytes(keccak(name.encode())[:4], "big")
    for name in (
        "transfer(address,uint256)",
        "transferFrom(address,address,uint256)",
        "decimals()",
    )
}
DECIMALS = 6

# balances are a Solidity mapping in slot 0, everybody may spend for everybody, and too little is a revert
TOKEN_CODE = assemble(
    f"""
    0 CALLDATALOAD 224 SHR
    DUP1 0x{_SELECTOR["transfer(address,uint256)"]:x} EQ @transfer JUMPI
    DUP1 0x{_SELECTOR["transferFrom(address,address,uint256)"]:x} EQ @from JUMPI
    DUP1 0x{_SELECTOR["decimals()"]:x} EQ @decimals JUMPI
    STOP
    decimals:
    {DECIMALS} 0 MSTORE 32 0 RETURN
    transfer:
    36 CALLDATALOAD 4 CALLDATALOAD CALLER @move JUMP
    from:
    68 CALLDATALOAD 36 CALLDATALOAD 4 CALLDATALOAD @move JUMP
    move:
    0 MSTORE 64 0 SHA3
    DUP3 DUP2 SLOAD LT @poor JUMPI
    DUP3 DUP2 SLOAD SUB SWAP1 SSTORE
    0 MSTORE 64 0 SHA3
    DUP1 SLOAD DUP3 ADD SWAP1 SSTORE
    1 0 MSTORE 32 0 RETURN
    poor:
    0 0 REVERT
    """
)


def balance_slot(holder: bytes) -> int:
    return mapping_slot(int.from_bytes(holder, "big"), 0)


class Psm:
    """A module on a machine of its own, with fees, and balances to pay with."""

    def __init__(self, tin: int, tout: int, gem: int, dai: int) -> None:
        rich = {balance_slot(SENDER): 1 << 200}
        self.machine = Machine(
            DictState(
                {
                    GEM: Account(nonce=1, code=TOKEN_CODE, storage={**rich, balance_slot(POCKET): gem}),
                    DAI: Account(nonce=1, code=TOKEN_CODE, storage=dict(rich)),
                    JOIN: Account(nonce=1, code=join_code(DAI)),
                    SENDER: Account(balance=WAD),
                }
            ),
            CONTEXT,
            Fork.PRAGUE,
        )
        self.nonce = 0
        arguments = encode(["bytes32", "address", "address", "address"], [bytes(32), GEM, JOIN, POCKET])
        created = self.send(b"", creation_code("DssLitePsm") + arguments)
        assert created.contract_address is not None, created.error
        self.at = Address(created.contract_address)
        for what, value in ((b"tin", tin), (b"tout", tout)):
            assert self.call("file(bytes32,uint256)", what.ljust(32, b"\0"), word(value)).status == 1
        assert self.send(DAI, keccak(b"transfer(address,uint256)")[:4] + word(self.at) + word(dai)).status == 1
        self.spec = PoolSpec(self.at, "maker_lite_psm", (GEM, DAI), 0, facts=PsmFacts(POCKET, 10**12, 0, 0))

    def send(self, to: bytes, data: bytes) -> TransactionResult:
        self.nonce += 1
        return self.machine.apply(UnsignedTransaction(SENDER, to, data, 0, self.nonce - 1, 5_000_000, 0, 0))

    def call(self, signature: str, *words: bytes) -> TransactionResult:
        return self.send(self.at, keccak(signature.encode())[:4] + b"".join(words))

    def swap(self, i: int, amount: int) -> TransactionResult:
        """``amount`` of the stablecoin sold (i = 0) or bought."""
        return self.call(f"{'buyGem' if i else 'sellGem'}(address,uint256)", word(SENDER), word(amount))

    def pool(self) -> ConstantRatePool:
        """As storage has it now, by the loader's own rounds."""
        return load_psm(self.spec, self.machine.storage)


def log_of(entry: LogEntry) -> PoolLog:
    return PoolLog(Address(entry.address), entry.topics, entry.data, 1, 0)


@pytest.mark.parametrize("seed", range(20))
def test_the_module_pays_and_stands_as_its_bytecode_does(seed: int) -> None:
    """Forty swaps a module: amounts paid, the next unit refused, storage and logs after it."""
    dice = Random(seed)
    fees = [dice.choice([0, dice.randrange(10**15), dice.randrange(WAD // 2)]) for _ in range(2)]
    psm = Psm(*fees, dice.choice([10**4, 10**12]), dice.choice([10**14, 10**24]))
    known = psm.pool()
    for _ in range(100):
        i = dice.randrange(2)
        if i:
            amount = int(10 ** dice.uniform(0, 25))
            try:
                gem = known.amount_out(1, 0, amount)
            except InsufficientLiquidity:
                assert psm.swap(1, known.reserves[0] + 1).status == 0
                continue
            # the input covers the cost of what it buys, but not of one unit more
            cost = known.amount_in(1, 0, gem)
            assert cost <= amount < (gem + 1) * 10**12 + (gem + 1) * 10**12 * known.tout // WAD
            result, expected = psm.swap(1, gem), known.swapped(1, 0, amount)
            paid = cost
        else:
            amount = int(10 ** dice.uniform(0, 13))
            try:
                expected = known.swapped(0, 1, amount)
            except InsufficientLiquidity:
                assert psm.swap(0, amount).status == 0
                continue
            result, paid = psm.swap(0, amount), expected.amount_out
            least = known.amount_in(0, 1, paid)
            assert least <= amount
            assert known.amount_out(0, 1, least) >= paid
            assert not paid or known.amount_out(0, 1, least - 1) < paid
        assert result.status == 1
        assert int.from_bytes(result.output, "big") == paid
        after = known
        for entry in result.logs:
            moved = next_state(after, log_of(entry))
            assert isinstance(moved, ConstantRatePool)
            after = moved
        assert after == expected.pool == psm.pool()
        known = after


def test_governance_moves_the_fees_and_a_halt_is_refused() -> None:
    psm = Psm(0, 0, 10**12, 10**24)
    known = psm.pool()
    (entry,) = psm.call("file(bytes32,uint256)", b"tout".ljust(32, b"\0"), word(10**15)).logs
    assert next_state(known, log_of(entry)) == psm.pool() == known.with_fees(0, 10**15)
    (entry,) = psm.call("file(bytes32,uint256)", b"tin".ljust(32, b"\0"), word((1 << 256) - 1)).logs
    halted = next_state(known, log_of(entry))
    assert isinstance(halted, Inconsistent)
    assert "halted" in halted.reason
    slots = {3: (1 << 256) - 1, 4: 0}
    others = {(GEM, balance_slot(POCKET)): 1, (DAI, balance_slot(psm.at)): 1}
    assert isinstance(load_pool(psm.spec, slots, None, Elsewhere(others)), Refused)
    missed = next_state(known, PoolLog(psm.at, (keccak(b"Trim(uint256)"),), word(10**30), 1, 0))
    assert isinstance(missed, Inconsistent)
    assert "missed" in missed.reason


@pytest.mark.parametrize("amount", [1, 10**9, 10**18 + 1, 10**30])
def test_weth_is_ether_one_to_one(amount: int) -> None:
    """Deposit and withdraw of the real contract; neither has a fee or a bound."""
    at = address("0xC02aaA39b223FE8D0A0e5C4F27eAD9083C756Cc2")
    machine = Machine(DictState({SENDER: Account(balance=10**31)}), CONTEXT, Fork.PRAGUE)
    created = machine.apply(UnsignedTransaction(SENDER, b"", creation_code("WETH9"), 0, 0, 5_000_000, 0, 0))
    assert created.contract_address is not None
    pool = load_pool(PoolSpec(at, "wrapped_native", (ZERO_ADDRESS, at), 0), {})
    assert isinstance(pool, ConstantRatePool)
    weth, before = created.contract_address, machine.balance(SENDER)
    deposit = UnsignedTransaction(SENDER, weth, keccak(b"deposit()")[:4], amount, 1, 100_000, 0, 0)
    assert machine.apply(deposit).status == 1
    assert before - machine.balance(SENDER) == pool.amount_in(0, 1, amount) == pool.amount_out(0, 1, amount) == amount
    withdraw = UnsignedTransaction(SENDER, weth, keccak(b"withdraw(uint256)")[:4] + word(amount), 0, 2, 100_000, 0, 0)
    assert machine.apply(withdraw).status == 1
    assert machine.balance(SENDER) == before
    assert pool.amount_in(1, 0, amount) == pool.amount_out(1, 0, amount) == amount
    assert pool.swapped(1, 0, amount).pool == pool
    assert (pool.marginal_rate(0, 1), pool.marginal_rate(1, 0)) == (1.0, 1.0)


def test_who_vouches_for_the_address() -> None:
    weth = address("0xC02aaA39b223FE8D0A0e5C4F27eAD9083C756Cc2")
    assert check_address(PoolSpec(weth, "wrapped_native", (ZERO_ADDRESS, weth), 0), 1) is None
    assert "is 0xC02a" in str(check_address(PoolSpec(GEM, "wrapped_native", (ZERO_ADDRESS, GEM), 0), 1))
    assert "not known" in str(check_address(PoolSpec(weth, "wrapped_native", (ZERO_ADDRESS, weth), 0), 5))
    ((known, (tokens, facts)),) = LITE_PSM[1].items()
    module = PoolSpec(known, "maker_lite_psm", tokens, 0, facts=facts)
    assert check_address(module, 1) is None
    assert "no PSM" in str(check_address(replace(module, address=GEM), 1))
    assert "no PSM" in str(check_address(module, 5))


def test_a_pool_file_gives_a_known_module_neither_other_tokens_nor_another_rate() -> None:
    """The address alone vouches for nothing: a wrong scale would be a price that does not exist."""
    ((known, (tokens, facts)),) = LITE_PSM[1].items()
    module = PoolSpec(known, "maker_lite_psm", tokens, 0, facts=facts)
    for wrong in (tokens[::-1], (GEM, DAI)):
        assert "in this order" in str(check_address(replace(module, tokens=wrong), 1))
    for change in ({"scale": 1}, {"pocket": POCKET}, {"gem_balances": 0}, {"dai_balances": 3}):
        assert "the facts of" in str(check_address(replace(module, facts=replace(facts, **change)), 1))


def test_facts_of_a_pool_file() -> None:
    good = {"pocket": "0x" + "37" * 20, "scale_digits": 12, "gem_balances_slot": 9, "dai_balances_slot": 2}
    assert read_psm_facts(good) == PsmFacts(Address(b"\x37" * 20), 10**12, 9, 2)
    for wrong in ({}, {**good, "more": 1}, {**good, "scale_digits": True}, {**good, "pocket": 5}):
        with pytest.raises(ValueError, match="expected"):
            read_psm_facts(wrong)
