"""Record an example: ``python -m flasharb.devnet.example`` (part of ``just fixtures``).

Runs the chain from genesis, block by block and without a clock, with the traders of seed 1, until the search of the
service finds a trade; sends that as a bundle, and writes the block that holds it to ``fixtures/blocks``. Always the
same block: the traders are seeded and the block times follow from the genesis time.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

from flasharb.devnet import recording
from flasharb.devnet.chain import Built, Chain
from flasharb.devnet.pending import Bundle
from flasharb.devnet.traders import Traders
from flasharb.devnet.transactions import Transaction, decode
from flasharb.devnet.world import FIXTURES, GENESIS_TIMESTAMP, World, devnet_key, load_world
from flasharb.execution.fees import next_base_fee
from flasharb.execution.program import encode_call, loan_for
from flasharb.execution.signing import SigningKey, sign
from flasharb.execution.transaction import Transaction as Unsigned
from flasharb.market.snapshot import Market
from flasharb.pools import Pool
from flasharb.pools.files import parse_pools, parse_tokens
from flasharb.pools.loading import Needs, Refused, load_pool
from flasharb.pools.spec import PoolSpec
from flasharb.settings import Settings
from flasharb.strategy.search import Findings, Search, Tokens
from flasharb.strategy.trade import Trade
from flasharb.units import BPS, Hash32, checksum

SLOT_S: Final = 2
TRADES_PER_SLOT: Final = 2.0
GAS_LIMIT: Final = 600_000
MOST_BLOCKS: Final = 50
BLOCKS_FOLDER: Final = FIXTURES / "blocks"


def market_at_head(chain: Chain, world: World, v3_words: int | None = None) -> Market:
    """The market as it stands after the head block, read from the chain's own state.

    ``v3_words``: tick-bitmap words read on each side of the price; None: as many as the loader finds enough.
    """
    pools = [_load(chain, spec, v3_words) for spec in parse_pools(world.pools).pools]
    return Market.load(chain.head.number, pools, parse_tokens(world.tokens).tokens)


def _load(chain: Chain, spec: PoolSpec, v3_words: int | None) -> Pool:
    storage = chain.ledger.accounts[spec.address].storage
    slots: dict[int, int] = {}
    while isinstance(loaded := load_pool(spec, slots, v3_words), Needs):
        slots |= {slot: storage.get(slot, 0) for slot in loaded.slots}
    if isinstance(loaded, Refused):
        raise ValueError(f"the devnet's pool {checksum(spec.address)} is not to be traded: {loaded.reason}")
    return loaded


def search_at_head(chain: Chain, world: World, settings: Settings) -> Findings:
    """What the service would find in the market after the head block."""
    names = world.names
    tokens = Tokens((names["weth"],), (names["usdc"], names["usdt"], names["dai"]), names["weth"])
    return Search(settings, tokens).update(market_at_head(chain, world), None, next_base_fee(chain.head.header))


def arbitrage(chain: Chain, world: World, trade: Trade, bid_share_bps: int = 5000) -> Transaction:
    """The signed transaction that executes ``trade`` in the next block and bids a share of its gross profit."""
    signer = SigningKey(devnet_key("signer"))
    loan = loan_for(trade, world.names["balancer_vault"], world.names["v4_manager"])
    if loan is None:
        raise RuntimeError("the best trade cannot be run with any loan")
    unsigned = Unsigned(
        chain_id=chain.chain_id,
        nonce=chain.ledger.accounts[signer.address].nonce,
        max_priority_fee_per_gas=0,
        max_fee_per_gas=next_base_fee(chain.head.header),
        gas_limit=GAS_LIMIT,
        to=world.names["flasharb"],
        value=0,
        data=encode_call(
            trade,
            weth=world.names["weth"],
            loan=loan,
            min_profit=trade.gross_profit,
            bid_wei=trade.gross_profit * bid_share_bps // BPS,
            deadline_block=chain.head.number + 1,
        ),
    )
    return decode(sign(unsigned, signer).raw)


def run_until_arbitrage(chain: Chain, world: World, seed: int = 1) -> tuple[Built, Hash32]:
    """Make blocks until one holds an arbitrage; returns that block and the transaction's hash."""
    traders = Traders(chain, world, seed, TRADES_PER_SLOT)
    for number in range(1, MOST_BLOCKS + 1):
        sent = _send_best(chain, world)
        traders.act()
        built = chain.mine(GENESIS_TIMESTAMP + number * SLOT_S)
        traders.observe(built.block)
        if sent is not None:
            outcome = built.outcomes[sent.hash]
            if not outcome.startswith("included"):
                raise RuntimeError(f"block {number} did not include the bundle: {outcome}")
            return built, sent.transactions[0].hash
    raise RuntimeError(f"no arbitrage in {MOST_BLOCKS} blocks")


def _send_best(chain: Chain, world: World) -> Bundle | None:
    trades = search_at_head(chain, world, Settings()).trades
    if not trades:
        return None
    transaction = arbitrage(chain, world, trades[0])
    bundle = Bundle((transaction,), chain.head.number + 1, world.names["signer"])
    chain.bundles.add(bundle)
    return bundle


def record(world: World, folder: Path) -> tuple[Path, Hash32]:
    """Record the example into ``folder``, in place of an older one."""
    chain = Chain(world)
    built, transaction_hash = run_until_arbitrage(chain, world)
    for older in folder.glob("*.json.gz"):
        older.unlink()
    path = recording.record(folder, built, chain.ledger.at(built.parent.number), chain.chain_id)
    return path, transaction_hash


def main() -> None:
    """Record the example and say which transaction it is."""
    path, transaction_hash = record(load_world(), BLOCKS_FOLDER)
    print(f"{path}: arbitrage 0x{transaction_hash.hex()}")


if __name__ == "__main__":
    main()
