"""A trade split over parallel pools, found, simulated and landed: ``python -m flasharb.devnet.split_example``.

Runs the chain from genesis without a clock, with seeded traders, until the search of the service prefers a trade of
several paths of which two use pools of the same pair side by side. That is simulated on the head's state, sent as a
bundle of one transaction, and mined. Always the same for a seed.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from flasharb.devnet.chain import Chain, next_context
from flasharb.devnet.example import ONE_CYCLE, SLOT_S, TRADES_PER_SLOT, arbitrage, search_at_head
from flasharb.devnet.pending import Bundle
from flasharb.devnet.traders import Traders
from flasharb.devnet.transactions import Transaction
from flasharb.devnet.world import GENESIS_TIMESTAMP, World, load_world
from flasharb.evm import Fork, MissingState
from flasharb.settings import Settings
from flasharb.simulation.result import Executed
from flasharb.simulation.simulate import Options, Run
from flasharb.simulation.trial import weth9_slot
from flasharb.strategy.trade import Trade
from flasharb.units import WEI_PER_ETH, checksum

SEED: Final = 3
MOST_BLOCKS: Final = 50
GAS_LIMIT: Final = 2_000_000


@dataclass(frozen=True, slots=True)
class Landed:
    """What came of it. ``alone``: the best single cycle at the same moment; wei of WETH.

    ``simulated`` is the growth of the contract's WETH in the simulation before it was sent, bid added back; ``gained``
    the same on the chain.
    """

    trade: Trade
    alone: Trade
    block_number: int
    simulated: int
    gained: int
    gas_used: int


def run(world: World, seed: int = SEED) -> Landed:
    """Make blocks until such a trade has landed.

    Raises:
        RuntimeError: none was found in ``MOST_BLOCKS`` blocks, or it failed.
    """
    chain = Chain(world)
    traders = Traders(chain, world, seed, TRADES_PER_SLOT)
    for number in range(1, MOST_BLOCKS + 1):
        trade = next(iter(search_at_head(chain, world, Settings()).trades), None)
        if trade is not None and _is_parallel(trade):
            alone = search_at_head(chain, world, ONE_CYCLE).trades[0]
            return _land(chain, world, trade, alone)
        traders.act()
        traders.observe(chain.mine(GENESIS_TIMESTAMP + number * SLOT_S).block)
    raise RuntimeError(f"no split trade in {MOST_BLOCKS} blocks")


def _is_parallel(trade: Trade) -> bool:
    """Whether two different pools are used from the same token to the same token."""
    pools = {one.hop.pool for one in trade.hops}
    ways = {(one.hop.token_in, one.hop.token_out) for one in trade.hops}
    return len(trade.paths) > 1 and len(ways) < len(pools)


def _land(chain: Chain, world: World, trade: Trade, alone: Trade) -> Landed:
    transaction = arbitrage(chain, world, trade, gas_limit=GAS_LIMIT)
    timestamp = GENESIS_TIMESTAMP + (chain.head.number + 1) * SLOT_S
    simulated = _simulate(chain, world, transaction, timestamp)
    bid = trade.gross_profit // 2
    bundle = Bundle((transaction,), chain.head.number + 1, world.names["signer"])
    before = _held(chain, world)
    chain.bundles.add(bundle)
    built = chain.mine(timestamp)
    outcome = built.outcomes[bundle.hash]
    if not outcome.startswith("included"):
        raise RuntimeError(f"block {built.block.number} did not include the bundle: {outcome}")
    return Landed(
        trade=trade,
        alone=alone,
        block_number=built.block.number,
        simulated=simulated + bid,
        gained=_held(chain, world) - before + bid,
        gas_used=built.block.receipts[0].gas_used,
    )


def _simulate(chain: Chain, world: World, transaction: Transaction, timestamp: int) -> int:
    """The growth of the contract's WETH, by the service's own simulation on the head's state."""
    contract, weth = world.names["flasharb"], world.names["weth"]
    context = next_context(chain.head.header, chain.chain_id, world.names["builder"], timestamp)
    options = Options(measure=((contract, weth),))
    answer = Run([transaction.raw], chain.ledger.at(chain.head.number), context, Fork.PRAGUE, options=options).step()
    if isinstance(answer, MissingState):
        raise RuntimeError(f"the devnet's own state lacks {answer}")
    executed: Executed = answer.transactions[0]
    if not executed.status:
        raise RuntimeError(f"the simulation reverted: {executed.revert_reason}")
    return executed.balance_changes[contract][weth]


def _held(chain: Chain, world: World) -> int:
    """The contract's WETH at the head."""
    return chain.ledger.accounts[world.names["weth"]].storage.get(weth9_slot(world.names["flasharb"]), 0)


def lines(landed: Landed) -> Iterator[str]:
    """What came of it, in words."""
    trade = landed.trade
    for path in trade.paths:
        pools = " > ".join(f"{one.protocol} {checksum(one.hop.pool)}" for one in path)
        yield f"  {path[0].amount_in / WEI_PER_ETH:.6f} in, {path[-1].amount_out / WEI_PER_ETH:.6f} out: {pools}"
    gross, bound = trade.gross_profit / WEI_PER_ETH, trade.gain_bound / WEI_PER_ETH
    yield f"together {gross:.6f} ETH before gas; no use of these pools makes more than {bound:.6f}"
    yield f"the best single cycle made {landed.alone.gross_profit / WEI_PER_ETH:.6f} ETH"
    yield (
        f"landed in block {landed.block_number} as one transaction: {landed.gained / WEI_PER_ETH:.6f} ETH "
        f"(simulated {landed.simulated / WEI_PER_ETH:.6f}), {landed.gas_used:,} gas"
    )


def main() -> None:
    """Run it and say what came of it."""
    parser = argparse.ArgumentParser(prog="python -m flasharb.devnet.split_example", description=__doc__)
    parser.add_argument("--seed", type=int, default=SEED, help="seed of the traders")
    for line in lines(run(load_world(), parser.parse_args().seed)):
        print(line)


if __name__ == "__main__":
    main()
