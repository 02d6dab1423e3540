"""Every trade with a Curve pool in the recorded mainnet blocks: what it paid, and the pool that it left behind."""

from __future__ import annotations

from pathlib import Path

import pytest

from flasharb.adapters.blockfile import read_block
from flasharb.evm import LogEntry
from flasharb.feed.events import PoolLog
from flasharb.market.transition import Inconsistent, next_state
from flasharb.pools import Pool, PoolSpec
from flasharb.pools.cryptoswap import CryptoSwapPool
from flasharb.pools.events import StateUnknown
from flasharb.pools.protocols import PROTOCOLS
from flasharb.pools.stableswap import StableSwapPool
from flasharb.simulation.recorded_pools import known_pools, offered
from flasharb.simulation.replay import Replay
from flasharb.units import Address
from tests.support.curve_bytecode import words_of

pytestmark = pytest.mark.mainnet

TRADES = {
    13217637: ["tricrypto2"],
    17666333: ["early", "tricrypto2"],
    18884864: ["tricrypto2", "tricrypto_ng"],
    18885292: ["template", "twocrypto"],
    19932148: ["ng"],
    21066632: ["twocrypto_ng"],
}


@pytest.mark.parametrize("number", TRADES)
def test_every_trade_pays_and_leaves_what_is_computed(mainnet_blocks: Path, number: int) -> None:
    """Exchanges and withdrawals of one coin: amounts, and balances, D, prices and profit counters in storage after."""
    replay = Replay(read_block(mainnet_blocks / f"{number}.json.gz"))
    specs = {at: spec for at, spec in offered(replay).specs.items() if PROTOCOLS[spec.protocol].kind == "curve"}
    found = []
    for receipt in replay.block.receipts:
        logs = [log for log in receipt.logs if log.address in specs and _is_trade(specs[Address(log.address)], log)]
        before = known_pools(replay, [specs[Address(log.address)] for log in logs]).pools
        replay.advance()
        after = known_pools(replay, [specs[at] for at in before]).pools
        assert len(before) == len(logs)
        for log in logs:
            at = Address(log.address)
            pool = before[at]
            event = PoolLog(at, tuple(log.topics), log.data, number, 0)
            found.append(_check(pool, event, after[at]))
    assert sorted(found) == TRADES[number]


def _is_trade(spec: PoolSpec, log: LogEntry) -> bool:
    rule = PROTOCOLS[spec.protocol].rules.get(log.topics[0]) if log.topics else None
    return rule is not None and rule.signature.split("(")[0] in ("TokenExchange", "RemoveLiquidityOne")


def _check(pool: Pool, event: PoolLog, after: Pool) -> str:
    """The trade is the computed one; gives the generation."""
    words = words_of(event.data)
    assert isinstance(pool, StableSwapPool | CryptoSwapPool)
    followed = next_state(pool, event)
    if isinstance(followed, Inconsistent):
        # the trade in which this pool collects its fees by what it holds of its coins: its quote holds nevertheless
        assert "collects its fees" in followed.reason
        assert pool.amount_out(words[0], words[2], words[1]) == words[3]
        with pytest.raises(StateUnknown, match="collects its fees"):
            pool.swapped(words[0], words[2], words[1])
    else:
        assert followed == after
    return pool.facts.rules.name
