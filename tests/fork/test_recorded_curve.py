"""Every trade with a Curve pool in the recorded mainnet blocks: the amounts, and the state after the block."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import pytest

from flasharb.pools.cryptoswap import admission as crypto_admission
from flasharb.pools.cryptoswap import storage as crypto_storage
from flasharb.pools.cryptoswap.pool import CryptoSwapPool
from flasharb.pools.needs import NeedsReload, NeedsSlots
from flasharb.pools.spec import PoolSpec
from flasharb.pools.stableswap import admission, events, storage
from flasharb.pools.stableswap.pool import StableSwapPool
from flasharb.units import Address
from tests.support import curve_bytecode as chain

pytestmark = [pytest.mark.mainnet, chain.needs_mainnet]

BLOCKS = (13217637, 17666333, 18884864, 18885292, 19932148, 21066632)
OLD_EXCHANGE = chain.keccak(b"TokenExchange(address,uint256,uint256,uint256,uint256)")
NG_EXCHANGE = chain.keccak(b"TokenExchange(address,uint256,uint256,uint256,uint256,uint256,uint256)")
EXCHANGES = (OLD_EXCHANGE, NG_EXCHANGE, events.TOKEN_EXCHANGE)


@dataclass(frozen=True, slots=True)
class Side:
    """One side of a recorded block: the state before or after it."""

    block: Any
    after: bool

    def slots(self, at: Address) -> dict[int, int]:
        """The known slots of a contract."""
        text = f"0x{at.hex()}"
        known = dict((self.block["pre_state"].get(text) or {}).get("storage", {}))
        if self.after:
            known |= (self.block["post_diff"].get(text) or {}).get("storage", {})
        return {int(slot, 16): int(value, 16) for slot, value in known.items()}

    def code(self, at: Address) -> bytes | None:
        """The code of a contract, if the block holds it."""
        account = self.block["pre_state"].get(f"0x{at.hex()}")
        code = None if account is None else self.block["codes"].get(account["code_hash"])
        return None if code is None else bytes.fromhex(code[2:])

    def elsewhere(self, supply: tuple[Address, int] | None) -> dict[tuple[Address, int], int]:
        """The supply of an LP token that is a contract of its own."""
        slots = {} if supply is None else self.slots(supply[0])
        return {supply: slots[supply[1]]} if supply is not None and supply[1] in slots else {}

    @property
    def timestamp(self) -> int:
        """The block's time."""
        return int(self.block["header"]["timestamp"], 16)


def pool_at(side: Side, at: Address) -> StableSwapPool | CryptoSwapPool:
    """The pool at an address, admitted."""
    code, slots = side.code(at), side.slots(at)
    assert code is not None
    stable = admission.recognise(code)
    loaded: StableSwapPool | CryptoSwapPool | NeedsSlots
    if not isinstance(stable, str):
        facts = stable.facts(at, slots, admission.MAINNET.get(at))
        if facts.supply == (at, 49) and 49 not in slots:
            facts = replace(facts, supply=None)  # no LP token was touched
        assert admission.admit(facts, slots) is None
        spec = PoolSpec(at, "curve_stableswap", facts.coins[0], facts.coins[1], 0)
        loaded = storage.load(spec, facts, slots, side.timestamp, side.elsewhere(facts.supply))
    else:
        crypto = crypto_admission.recognise(code, side.code)
        assert not isinstance(crypto, str), crypto
        crypto_facts = crypto.facts(at, slots)
        assert crypto_admission.admit(crypto_facts, slots) is None
        spec = PoolSpec(at, "curve_cryptoswap", crypto_facts.coins[0], crypto_facts.coins[1], 0)
        loaded = crypto_storage.load(spec, crypto_facts, slots, side.timestamp, side.elsewhere(crypto_facts.supply))
    assert not isinstance(loaded, NeedsSlots), loaded
    return loaded


def trades() -> Iterator[tuple[int, Address, bytes, list[int]]]:
    """(block, pool, topic, words) of every trade."""
    for number in BLOCKS:
        for receipt in chain.recorded_block(number)["expected"]["receipts"]:
            for address, topics, data in receipt["logs"]:
                topic = bytes.fromhex(topics[0][2:]) if topics else b""
                if topic in EXCHANGES or topic in events.REMOVE_LIQUIDITY_ONE:
                    yield number, Address(bytes.fromhex(address[2:])), topic, chain.words_of(bytes.fromhex(data[2:]))


def test_every_recorded_trade_is_quoted_to_the_unit() -> None:
    """Eight exchanges and one withdrawal of a single coin: what the event says, from the state before the block."""
    found = []
    for number, at, topic, words in trades():
        pool = pool_at(Side(chain.recorded_block(number), after=False), at)
        if topic in EXCHANGES:
            i, amount_in, j, amount_out = words[:4]
        else:
            assert isinstance(pool, StableSwapPool)
            i, amount_in, amount_out = pool.facts.lp_index, words[0], words[1]
            j = next(k for k in range(pool.facts.lp_index) if pool.amount_out(i, k, amount_in) == amount_out)

        assert pool.amount_out(i, j, amount_in) == amount_out
        found.append(pool.facts.rules.name)
    assert sorted(found) == sorted(
        ["tricrypto2"] * 3 + ["tricrypto_ng", "twocrypto", "twocrypto_ng", "early", "template", "ng"]
    )


def test_the_state_after_the_block_is_the_one_computed() -> None:
    """Balances, D, price scale, oracle and profit counters of each pool, after the only trade with it in its block."""
    for number, at, topic, words in trades():
        block = chain.recorded_block(number)
        pool, after = (pool_at(Side(block, after=later), at) for later in (False, True))
        if number == 18885292 and isinstance(pool, CryptoSwapPool):
            # the trade in which this pool collects its fees by what it holds of its coins
            with pytest.raises(NeedsReload, match="collects its fees"):
                pool.swapped(words[0], words[2], words[1])
        elif isinstance(pool, CryptoSwapPool):
            assert pool.swapped(words[0], words[2], words[1]).pool == after
        elif topic == events.TOKEN_EXCHANGE:
            assert events.after_token_exchange(pool, *words) == after
        else:
            assert events.after_remove_liquidity_one(pool, words[0], words[1]) == after


def test_pools_with_another_code_are_not_recognised() -> None:
    """A router that also has ``exchange`` is neither kind of pool, and its code hash is named."""
    router = chain.recorded_code("3pool")[:-1] + b"\x01"

    assert "is proven here" in str(admission.recognise(router))
    assert "is proven here" in str(crypto_admission.recognise(router, lambda _: None))
