"""Traders are repeatable, make arbitrages early, and stay within reason."""

from __future__ import annotations

import math

from eth_hash.auto import keccak

from flasharb.devnet.chain import Chain
from flasharb.devnet.example import arbitrage, search_at_head
from flasharb.devnet.layout import CONTRACTS
from flasharb.devnet.pending import Bundle
from flasharb.devnet.traders import Traders
from flasharb.devnet.world import World
from flasharb.settings import Settings
from tests.support.devnet import mine


def test_a_seed_gives_one_chain_and_another_seed_another(world: World) -> None:
    def head(seed: int) -> bytes:
        chain = Chain(world)
        mine(chain, Traders(chain, world, seed, trades_per_slot=3.0), 4)
        return chain.head.header.hash

    assert head(1) == head(1)
    assert head(1) != head(2)


def test_no_trades_no_transactions(world: World) -> None:
    chain = Chain(world)
    blocks = mine(chain, Traders(chain, world, seed=1, trades_per_slot=0.0), 3)

    assert [built.block.transactions for built in blocks] == [(), (), ()]


def test_seed_1_gives_profitable_arbitrages_from_the_first_blocks_on(world: World) -> None:
    """What the service's own search finds, executed by the contract: the balance grows by the profit less the bid."""
    chain = Chain(world)
    traders = Traders(chain, world, seed=1, trades_per_slot=2.0)
    weth, contract = CONTRACTS["weth"], world.names["flasharb"]
    landed: list[int] = []
    for _ in range(20):
        held = _weth_of(chain, contract)
        findings = search_at_head(chain, world, Settings())
        for trade in findings.trades[:1]:
            sent = arbitrage(chain, world, trade)
            chain.bundles.add(Bundle((sent,), chain.head.number + 1, world.names["signer"]))
        (built,) = mine(chain, traders, 1)
        if findings.trades:
            trade = findings.trades[0]
            bid = trade.gross_profit // 2

            assert trade.base_token == weth
            assert next(iter(built.outcomes.values())) == f"included in block {built.block.number}"
            assert built.block.receipts[0].coinbase_delta == bid
            assert _weth_of(chain, contract) - held == trade.gross_profit - bid
            landed.append(built.block.number)

    assert landed[0] <= 4
    assert len(landed) >= 8


def _weth_of(chain: Chain, owner: bytes) -> int:
    slot = int.from_bytes(keccak(bytes(12) + owner + (3).to_bytes(32, "big")), "big")
    return chain.ledger.accounts[CONTRACTS["weth"]].storage.get(slot, 0)


def test_prices_and_the_base_fee_stay_near_home_over_many_blocks(world: World) -> None:
    chain = Chain(world)
    traders = Traders(chain, world, seed=4, trades_per_slot=3.0)
    blocks = mine(chain, traders, 60)
    statuses = [receipt.status for built in blocks for receipt in built.block.receipts]

    assert sum(statuses) >= 0.98 * len(statuses)
    for pool in traders._pools:
        distance = math.log(traders._read(pool).price / traders._fair_price(pool))
        assert abs(distance) < 0.06
    for built in blocks[20:]:
        assert 0.2e9 < built.block.header.base_fee_per_gas < 1.2e9
        assert not built.invalid
    assert len(chain.mempool) < 10
