"""The chain as the stages see it: one node behind the questions of updater, executor and tracker."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal

from flasharb.adapters import chain
from flasharb.adapters.node import Node
from flasharb.adapters.node_source import pool_logs
from flasharb.adapters.pool_discovery import factory_logs, settle
from flasharb.adapters.pool_loader import Loaded, load_pools
from flasharb.execution.realised import Holdings
from flasharb.feed.events import BlockHeader, PoolEvent
from flasharb.market.prices import chainlink_usd
from flasharb.market.snapshot import Market
from flasharb.pools.creation import Claim, FactoryLog, Listing
from flasharb.pools.protocols import PROTOCOLS, sources_of
from flasharb.pools.register import Refusal, Refused, Register, creators
from flasharb.pools.spec import PoolSpec, Token
from flasharb.units import Address, Hash32


@dataclass(frozen=True, slots=True)
class NodeChain:
    """``specs`` are the tracked pools; ``sender`` signs (or is simulated), ``contract`` is FlashArb."""

    node: Node
    specs: Mapping[Address, PoolSpec]
    tokens: tuple[Token, ...]
    contract: Address
    sender: Address
    v3_words: int
    stale_after_blocks: int
    slot_s: int
    price_feed: Address | None
    hears_all: bool
    """The source of events is a node, which brings the logs of every protocol; a bus has messages for some only."""
    probed: tuple[Address, ...] = ()
    """Those of ``specs`` that are read at every block's end; only files list such pools, so that none is added."""

    async def header(self, number: int | None) -> BlockHeader | None:
        """The header of a block (None: the newest)."""
        return await chain.header(self.node, number)

    async def load(self, only: Iterable[Address] | None, header: BlockHeader) -> Loaded:
        """Tracked pools at the end of a block."""
        wanted = self.specs.values() if only is None else [self.specs[one] for one in only if one in self.specs]
        return await load_pools(self.node, wanted, header.number, v3_words=self.v3_words)

    async def reread(self, header: BlockHeader) -> Loaded:
        """The pools that no log is followed for, at the end of a block; without such pools nothing is asked."""
        return await self.load(self.probed, header) if self.probed else Loaded(())

    def empty_market(self, header: BlockHeader) -> Market:
        """A market without pools, with the tokens of the configuration."""
        return Market.load(
            header.number,
            (),
            self.tokens,
            block=header,
            stale_after_blocks=self.stale_after_blocks,
            slot_s=self.slot_s,
        )

    async def unheard(self, header: BlockHeader) -> tuple[PoolEvent, ...]:
        """The logs of a block that move pools which the bus has no messages for.

        Raises:
            NodeError: the node does not answer, or says what is no log.
        """
        emitters = self._unheard_emitters()
        return await pool_logs(self.node, header.hash, emitters) if emitters else ()

    async def created(self, first: int, last: int, register: Register) -> list[Refused]:
        """Take what factories created in these blocks into the register; what it does not take.

        Raises:
            NodeError: the node does not answer.
        """
        refused: list[Refused] = []

        async def take(end: int, logs: Sequence[FactoryLog]) -> None:
            met = [register.created(log) for log in logs]
            refused.extend(one for one in met if isinstance(one, Refused))
            asked = (one for one in met if isinstance(one, Claim | Listing))
            refused.extend(await settle(self.node, register, asked, end))

        tellers = creators(register.chain_id, register.deployments)
        await factory_logs(self.node, tellers, (first, last), take, patient=False)
        return [one for one in refused if one.refusal is not Refusal.DUPLICATE]

    def _unheard_emitters(self) -> frozenset[Address]:
        if self.hears_all:
            return frozenset()
        protocols = ((spec, PROTOCOLS[spec.protocol]) for spec in self.specs.values())
        followed = [spec for spec, protocol in protocols if protocol.rules and not protocol.probed]
        return frozenset(at for spec in followed for at in (spec.address, *sources_of(spec)))

    async def native_usd(self, header: BlockHeader) -> Decimal | None:
        """The configured feed's price of ETH; None without a feed."""
        if self.price_feed is None:
            return None
        return chainlink_usd(*await chain.feed_answer(self.node, self.price_feed, header.number))

    async def nonce(self, header: BlockHeader) -> int:
        """The sender's nonce at the end of a block."""
        return await chain.confirmed_nonce(self.node, self.sender, header.hash)

    async def send_publicly(self, raw: bytes) -> None:
        """Hand a signed transaction to the node for the public mempool."""
        await chain.send_publicly(self.node, raw)

    async def landing(self, transactions: tuple[Hash32, ...]) -> chain.Landing:
        """Head, the sender's nonce and receipts."""
        return await chain.landing(self.node, self.sender, transactions)

    async def holdings(self, token: Address, number: int) -> Holdings:
        """What contract and sender own at the end of a block."""
        held = await chain.holdings(self.node, {self.contract: (token,), self.sender: ()}, number)
        contract, sender = held[self.contract], held[self.sender]
        return Holdings(number, contract.tokens[token], contract.wei, sender.wei)
