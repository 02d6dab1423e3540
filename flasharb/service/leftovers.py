"""Bundles that an earlier run left without an outcome, because it crashed or its drain was cut short.

They are decided before this run begins, by receipts and nonce as every bundle is, if this is their chain and their
signer; otherwise they stay open until a run on their chain decides them. A devnet ends with its run, and its bundles
with it. What such a bundle brought is not computed: the balances around a block of the past may be gone at the node.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, Protocol

from flasharb.adapters.chain import Landing
from flasharb.adapters.journal import Journal
from flasharb.execution.inclusion import Inclusion, Landed, Lost, Miss, decide
from flasharb.execution.limits import ChainFacts, is_devnet
from flasharb.service.executor import Ground
from flasharb.service.reports import Notice
from flasharb.service.tracker import CONFIRMATIONS
from flasharb.units import Address, Hash32, checksum, hex0x

DEVNET_ENDED: Final = "devnet_ended"
"""The bundle's chain was a devnet, which ended with its run."""
UNKNOWN: Final = "unknown"
"""The run ended between sending and noting what it sent, and the nonce was used: by the bundle or by another one."""
TARGET_BLOCKS: Final = 5
"""Most blocks that a bundle may be sent for (see [mev])."""


class Chain(Protocol):
    """What is asked of the node."""

    async def landing(self, transactions: tuple[Hash32, ...]) -> Landing:
        """Head, the signer's nonce and receipts."""
        ...


@dataclass(frozen=True, slots=True)
class Here:
    """This run's chain and signer, as every journal line ``started`` holds them."""

    chain_id: int
    genesis_hash: str | None
    sender: str
    devnet: bool

    def record(self) -> dict[str, Any]:
        """As JSON values."""
        return {
            "chain_id": self.chain_id,
            "genesis_hash": self.genesis_hash,
            "sender": self.sender,
            "devnet": self.devnet,
        }

    def is_that_of(self, started: Mapping[str, Any] | None) -> bool:
        """Whether an earlier run worked on this chain with this signer."""
        mine = self.record()
        return started is not None and all(started.get(key) == value for key, value in mine.items())


def here(ground: Ground, sender: Address) -> Here:
    """This run's chain and signer."""
    facts = ChainFacts(ground.chain_id, ground.genesis_hash, None)
    genesis = None if ground.genesis_hash is None else hex0x(ground.genesis_hash)
    return Here(ground.chain_id, genesis, checksum(sender), is_devnet(facts, ground.devnet_genesis))


async def settle(journal: Journal, place: Here, chain: Chain) -> list[Notice]:
    """Write the outcomes that can be known, note where this run works, and say what was found.

    Raises:
        NodeError: the node does not answer.
        JournalError: the journal cannot be written.
    """
    found: Counter[str] = Counter()
    for intent in journal.open_intents:
        run, trade = intent["run"], intent["trade"]
        started = journal.started(run)
        if started is not None and started.get("devnet"):
            outcome: dict[str, Any] | None = {"outcome": "missed", "reason": DEVNET_ENDED}
        elif place.is_that_of(started):
            outcome = await _outcome(intent, journal.submitted(run, trade), chain)
        else:
            found["left open: another chain or signer, or none that the journal names"] += 1
            continue
        if outcome is None:
            found["left open: they may still land"] += 1
            continue
        journal.append("outcome", {"trade": trade, **outcome, "found_by": journal.run}, run)
        found[_words(outcome)] += 1
    journal.append("started", place.record())
    if not found:
        return []
    parts = ", ".join(f"{count} {words}" for words, count in found.items())
    return [Notice("open_intents", f"bundles without an outcome from earlier runs: {parts}")]


def _words(outcome: Mapping[str, Any]) -> str:
    if outcome.get("reason") == DEVNET_ENDED:
        return "missed: their devnet ended with its process"
    return ": ".join(str(outcome[key]) for key in ("outcome", "reason") if key in outcome)


async def _outcome(intent: Mapping[str, Any], sent: Mapping[str, Any] | None, chain: Chain) -> dict[str, Any] | None:
    """What became of one bundle; None while it may still land."""
    hashes = () if sent is None else (Hash32(bytes.fromhex(sent["tx_hash"].removeprefix("0x"))),)
    landing = await chain.landing(hashes)
    last = intent["first_block"] + TARGET_BLOCKS if sent is None else sent["target_block"]
    verdict: Inclusion = decide(
        landing.receipts,
        head=landing.head,
        max_block=last + CONFIRMATIONS,
        nonce=intent["nonce"],
        account_nonce=landing.nonce if landing.head > last else None,
        confirmations=CONFIRMATIONS,
    )
    match verdict:
        case Landed(settled=True):
            (receipt,) = verdict.receipts
            return {
                "outcome": "included" if verdict.succeeded else "reverted",
                "on_chain": True,
                "tx_hash": hex0x(receipt.tx_hash),
                "block_number": receipt.block_number,
                "block_hash": hex0x(receipt.block_hash),
                "gas_used": receipt.gas_used,
                "effective_gas_price": str(receipt.effective_gas_price),
                "net_profit_wei": None,
            }
        case Lost():
            nobody_knows = sent is None and verdict.reason is Miss.NONCE_USED
            return {"outcome": UNKNOWN if nobody_knows else "missed", "reason": str(verdict.reason)}
        case _:
            return None
