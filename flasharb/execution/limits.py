"""The last look before anything is signed or sent. What is not known refuses, like what is wrong (fail closed)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from flasharb.execution.published_keys import PUBLISHED
from flasharb.execution.transaction import MAX_TRANSACTION_GAS, Transaction
from flasharb.settings import DEVNET_CHAIN_ID
from flasharb.units import Address, Hash32

LOCAL_CHAIN_IDS: Final = frozenset({DEVNET_CHAIN_ID, 1337, 31_337})
"""The devnet, Ganache and Hardhat/Anvil: chains without value, where a published key does no harm."""


@dataclass(frozen=True, slots=True)
class ChainFacts:
    """What the node said of itself; None = it has not."""

    chain_id: int | None
    genesis_hash: Hash32 | None
    head: int | None


@dataclass(frozen=True, slots=True)
class Limits:
    """The operator's word. Prices in wei per gas, profit in wei.

    ``devnet_genesis`` is the genesis hash of the embedded devnet: chain id and genesis together, and nothing else,
    make a chain the devnet.
    """

    chain_id: int
    live: bool
    devnet_genesis: Hash32
    max_fee_per_gas: int
    min_net_profit_wei: int | None


@dataclass(frozen=True, slots=True)
class Intent:
    """What is about to be signed and sent. ``net_profit_wei`` is the simulation's, after gas and bid."""

    sender: Address
    transaction: Transaction
    target_block: int
    net_profit_wei: int | None


@dataclass(frozen=True, slots=True)
class Withheld:
    """Why it is not sent. ``reason`` is a fixed word (counted)."""

    reason: str
    detail: str


NOT_LIVE: Final = "not_live"
"""Not a failure: a dry run ends here, and its trade as ``DryRun``."""


def is_devnet(facts: ChainFacts, devnet_genesis: Hash32) -> bool:
    """True for the embedded devnet only: an id alone could be anybody's."""
    return facts.chain_id == DEVNET_CHAIN_ID and facts.genesis_hash == devnet_genesis


def check_key(sender: Address, chain_id: int) -> Withheld | None:
    """Refuse the address of a published test key on a real chain."""
    if sender in PUBLISHED and chain_id not in LOCAL_CHAIN_IDS:
        return Withheld("published_key", f"this signer's key is a published test key; chain {chain_id} is real")
    return None


def check_send(intent: Intent, limits: Limits, facts: ChainFacts) -> Withheld | None:
    """None when ``intent`` may be signed and sent, else the first reason why not."""
    transaction = intent.transaction
    if facts.chain_id is None or facts.head is None:
        return Withheld("chain_unknown", "the node has not named its chain and head")
    if facts.chain_id != limits.chain_id or transaction.chain_id != limits.chain_id:
        ids = f"configured {limits.chain_id}, node {facts.chain_id}, transaction {transaction.chain_id}"
        return Withheld("wrong_chain", ids)
    if withheld := check_key(intent.sender, limits.chain_id):
        return withheld
    if intent.target_block <= facts.head:
        return Withheld("stale", f"target block {intent.target_block}, head {facts.head}")
    if transaction.max_fee_per_gas > limits.max_fee_per_gas:
        figures = f"maxFeePerGas {transaction.max_fee_per_gas} wei, allowed {limits.max_fee_per_gas}"
        return Withheld("gas_price_above_cap", figures)
    if transaction.gas_limit > MAX_TRANSACTION_GAS:
        return Withheld("gas_limit", f"gas limit {transaction.gas_limit}, the protocol allows {MAX_TRANSACTION_GAS}")
    if intent.net_profit_wei is None or limits.min_net_profit_wei is None:
        return Withheld("profit_unknown", "net profit or its least amount in wei is not known")
    if intent.net_profit_wei < limits.min_net_profit_wei or intent.net_profit_wei <= 0:
        figures = f"net profit {intent.net_profit_wei} wei, least {limits.min_net_profit_wei}"
        return Withheld("min_profit", figures)
    # Last, so that a dry run names every other reason first.
    if not limits.live and not is_devnet(facts, limits.devnet_genesis):
        return Withheld(NOT_LIVE, "dry run: --live is needed on any chain but the devnet")
    return None


def check_public(
    *, allowed: bool, max_loss_wei: int | None, worst_loss_wei: int | None, private_may_land: bool
) -> Withheld | None:
    """None when a transaction may go to the public mempool: only with a loss bound, and never beside a live bundle.

    ``worst_loss_wei`` is the gas burnt when it reverts there: gas limit times fee cap. It must carry the nonce of the
    private attempt, so that only one of the two can ever land.
    """
    if not allowed:
        return Withheld("public_off", "mev.fallback_to_public = false")
    if not max_loss_wei:
        return Withheld("no_loss_bound", "mev.max_public_loss_usd = 0, or its price in wei is not known")
    if private_may_land:
        return Withheld("private_may_land", "a private attempt may still land")
    if worst_loss_wei is None or worst_loss_wei > max_loss_wei:
        return Withheld("loss_above_bound", f"may lose {worst_loss_wei} wei, bound {max_loss_wei}")
    return None
