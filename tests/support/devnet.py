"""The devnet's chain without sockets or clock, and transactions for it."""

from __future__ import annotations

from functools import cache

from flasharb.devnet.abi import call_data
from flasharb.devnet.chain import Built, Chain
from flasharb.devnet.layout import CONTRACTS
from flasharb.devnet.traders import Traders
from flasharb.devnet.transactions import sign_dynamic_fee
from flasharb.devnet.world import GENESIS_TIMESTAMP, World, devnet_key, load_world
from flasharb.units import Address

GWEI = 10**9


@cache
def world() -> World:
    """The committed world."""
    return load_world()


def transfer(
    chain: Chain,
    role: str = "trader 0",
    *,
    to: Address | None = None,
    value: int = 1,
    data: bytes = b"",
    nonce: int | None = None,
    fees: tuple[int, int] = (GWEI, 10 * GWEI),
    gas_limit: int = 21_000,
    chain_id: int | None = None,
) -> bytes:
    """A raw transaction of one of the devnet's accounts; without ``to`` it goes to the builder."""
    account = chain.ledger.accounts[world().names[role.replace(" ", "_")]]
    return sign_dynamic_fee(
        devnet_key(role),
        chain_id=chain.chain_id if chain_id is None else chain_id,
        nonce=account.nonce if nonce is None else nonce,
        fees=fees,
        gas_limit=gas_limit,
        to=to or world().names["builder"],
        data=data,
        value=value,
    )


def swap_data(amount_in: int, recipient: Address, path: tuple[str, str] = ("weth", "usdc")) -> bytes:
    """A swap through a V2 router."""
    return call_data(
        "swapExactTokensForTokens(uint256,uint256,address[],address,uint256)",
        amount_in,
        0,
        [CONTRACTS[path[0]], CONTRACTS[path[1]]],
        recipient,
        2**63,
    )


def mine(chain: Chain, traders: Traders, count: int) -> list[Built]:
    """The next blocks with what the traders do in them."""
    blocks = []
    for _ in range(count):
        traders.act()
        built = chain.mine(GENESIS_TIMESTAMP + 2 * (chain.head.number + 1))
        traders.observe(built.block)
        blocks.append(built)
    return blocks
