"""A run from end to end: everything is opened, the pipeline runs, everything is closed in order."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from functools import partial
from typing import Final

import trio

from flasharb.adapters import chain
from flasharb.adapters.bus import open_publisher
from flasharb.adapters.journal import Journal
from flasharb.adapters.keys import identity_key, identity_key_path
from flasharb.adapters.node import Node, open_node
from flasharb.adapters.quarantine import Quarantine
from flasharb.adapters.receipts import Receipts
from flasharb.adapters.relay import Relays, open_relays
from flasharb.errors import NodeError
from flasharb.execution.limits import ChainFacts, is_devnet
from flasharb.execution.outcome import Included
from flasharb.execution.realised import Holdings, net_profit_wei
from flasharb.pools.protocols import probed_among
from flasharb.pools.register import Register
from flasharb.service import garbage, pipeline
from flasharb.service.accountant import Accountant, Ours
from flasharb.service.detector import Detector
from flasharb.service.executor import Executor, Ground, Identity, on_top_of
from flasharb.service.figures import Figures
from flasharb.service.leftovers import here, settle
from flasharb.service.newcomers import Newcomers
from flasharb.service.node_chain import NodeChain
from flasharb.service.preflight import Actors, Lists, Plan, cast, check_proofs, read_lists, survey
from flasharb.service.probing import Probing
from flasharb.service.reader import read
from flasharb.service.reporter import Announcer, Book, Reporter
from flasharb.service.reports import Notice, Report, Started
from flasharb.service.simulator import Simulator
from flasharb.service.tracker import Tracker
from flasharb.service.updater import Updater
from flasharb.service.vetting import Vetting
from flasharb.service.workers import limited_command, open_workers
from flasharb.settings import Settings
from flasharb.simulation.missed import Reach
from flasharb.simulation.receipts import Known
from flasharb.strategy.search import Search
from flasharb.units import Address, address

LOG: Final = logging.getLogger(__name__)

DRAIN_SLOTS: Final = 5.0
DRAIN_S: Final = 10.0
"""Longest orderly stop: some slots for the last bundles' fate, and a margin; what is open then stays in the journal."""


@dataclass(frozen=True, slots=True)
class Result:
    """What a run leaves behind. ``before`` and ``after`` are the executor's holdings around it.

    ``after`` is None where the node did not tell any more.
    """

    contract: Address
    sender: Address
    before: Holdings
    after: Holdings | None
    included: Sequence[Included]
    replayable: bool

    @property
    def growth_wei(self) -> int | None:
        """How much the executor's balances grew; None where nobody knows."""
        return None if self.after is None else net_profit_wei(self.before, self.after)


async def serve(
    plan: Plan, journal: Journal, figures: Figures, show: Callable[[Report], None], stop: trio.Event
) -> Result:
    """Run until ``stop`` is set, ``plan.blocks`` blocks are done, or the source ends.

    Raises:
        UsageError: the configuration does not fit the chain.
        OutsideError: node, bus, relay or journal cannot be used.
    """
    settings = plan.settings

    def enough_blocks(count: int) -> None:
        if plan.blocks is not None and count >= plan.blocks:
            stop.set()

    def note_dropped() -> None:
        figures.notes_dropped += 1

    async with AsyncExitStack() as stack:
        node = await stack.enter_async_context(
            open_node(
                settings.node.url,
                timeout_s=settings.node.request_timeout_s,
                batch_size=settings.node.batch_size,
                reconnect_to=settings.chain.id,
            )
        )
        ground = await survey(plan, node)
        actors = await cast(plan, node)
        await check_proofs(settings, node)
        lists = read_lists(settings, actors.deployed.weth)
        quarantine = Quarantine(plan.data_dir, settings.chain.id)
        relays = await _open_relays(plan, ground, stack)
        announcer = None
        if settings.message_bus.signal_address:
            publisher = await stack.enter_async_context(open_publisher(settings.message_bus.signal_address))
            announcer = Announcer(publisher, settings)
        simulation = settings.simulation
        command = limited_command(simulation.worker_memory_mb, simulation.wall_budget_s)
        workers = await stack.enter_async_context(open_workers(simulation.workers, simulation.wall_budget_s, command))
        newcomers = _newcomers(settings, lists) if settings.pools.from_bus or settings.pools.from_factories else None
        accountant = _accountant(settings, node, actors, lists, figures) if settings.strategy.account_missed else None
        reporter = Reporter(figures, Book(journal), announcer, _both(show, accountant))
        node_chain = _chain(settings, node, actors, lists)
        for line in _remarks(journal, lists) + await settle(journal, here(ground, actors.sender), node_chain):
            show(line)
        before = await _holdings(node_chain, actors)
        show(_started(settings, actors, lists, before, sending=relays is not None))
        identity = Identity(actors.sender, actors.contract, actors.deployed.weth, actors.key, relays)
        simulator = Simulator(workers, node, simulation)
        vetting = Vetting(
            simulator,
            quarantine,
            lists.specs,
            (actors.contract, actors.sender),
            lists.roles.base,
            lambda detail: show(Notice("quarantine", detail)),
        )
        probing = Probing(simulator, lists.specs, actors.contract, lambda detail: show(Notice("pool", detail)))
        executor = Executor(settings, identity, ground, node_chain, vetting, figures, reporter.write)
        stages = pipeline.Stages(
            read=partial(read, settings, figures, stop=stop),
            updater=lambda note, new_head, glance: Updater(
                node_chain, settings.chain.slot_s, figures, note, enough_blocks, new_head, glance, newcomers
            ),
            follow=lambda heads: simulator.follow(
                heads, lambda header: on_top_of(header, ground, settings.chain.slot_s)[0]
            ),
            try_out=lambda heads: probing.follow(
                heads, lambda header: on_top_of(header, ground, settings.chain.slot_s)
            ),
            detector=lambda note: Detector(
                Search(settings, lists.roles, quarantine=lambda: quarantine.tokens),
                figures,
                note,
                accountant.looked if accountant else None,
                garbage.settle,
            ),
            executor=executor,
            tracker=Tracker(node_chain, settings.chain.slot_s),
            reporter=reporter,
            note_dropped=note_dropped,
            accountant=accountant,
        )
        await _run(stages, stop, settings.chain.slot_s)
        after = await _last_holdings(node_chain, actors)
    return Result(actors.contract, actors.sender, before, after, reporter.included, plan.devnet_genesis is not None)


async def _open_relays(plan: Plan, ground: Ground, stack: AsyncExitStack) -> Relays | None:
    """The relays, where this run sends at all."""
    settings = plan.settings
    facts = ChainFacts(ground.chain_id, ground.genesis_hash, None)
    sends = plan.live or is_devnet(facts, ground.devnet_genesis)
    if not (sends and settings.mev.use_flashbots and settings.relays.urls):
        return None
    identity = identity_key(identity_key_path(settings, plan.data_dir))
    return await stack.enter_async_context(
        open_relays(settings.relays.urls, identity, settings.relays.request_timeout_s)
    )


def _chain(settings: Settings, node: Node, actors: Actors, lists: Lists) -> NodeChain:
    feed = settings.pools.chainlink_feed
    return NodeChain(
        node=node,
        specs=lists.specs,
        tokens=lists.tokens,
        contract=actors.contract,
        sender=actors.sender,
        v3_words=settings.pools.v3_words,
        stale_after_blocks=settings.pools.stale_after_blocks,
        slot_s=max(1, round(settings.chain.slot_s)),
        price_feed=address(feed) if feed else None,
        hears_all=settings.message_bus.transport == "node",
        probed=probed_among(lists.specs.values()),
    )


def _newcomers(settings: Settings, lists: Lists) -> Newcomers:
    register = Register(settings.chain.id, lists.deployments, dict(lists.specs))
    return Newcomers(register, lists.sort, lists.specs, lists.left_out, settings.pools.from_factories)


def _accountant(settings: Settings, node: Node, actors: Actors, lists: Lists, figures: Figures) -> Accountant:
    strategy = settings.strategy
    reach = Reach(
        lists.specs.keys(), lists.roles.base, strategy.max_hops, lists.left_out, longest=strategy.longest_cycle
    )
    known = Known(settings.chain.id, actors.deployed.weth, lists.specs, lists.deployments)
    return Accountant(Receipts(node), Ours(actors.contract, known, reach), settings.chain.slot_s, figures)


def _both(show: Callable[[Report], None], accountant: Accountant | None) -> Callable[[Report], None]:
    """Reports go to the view, and to the accountant where there is one."""
    if accountant is None:
        return show
    hear = accountant.hear

    def tell(report: Report) -> None:
        hear(report)
        show(report)

    return tell


async def _run(stages: pipeline.Stages, stop: trio.Event, slot_s: float) -> None:
    """Run the pipeline; once it is told to stop, give it only so long to drain."""
    drained = False
    async with trio.open_nursery() as nursery:

        async def limit() -> None:
            await stop.wait()
            nursery.cancel_scope.deadline = trio.current_time() + slot_s * DRAIN_SLOTS + DRAIN_S

        nursery.start_soon(limit)
        await pipeline.run(stages)
        drained = True
        nursery.cancel_scope.cancel()
    if not drained:
        LOG.warning("not everything was decided in time; what is open stands in the journal")


async def _holdings(node_chain: NodeChain, actors: Actors) -> Holdings:
    head = await chain.head_number(node_chain.node)
    return await node_chain.holdings(actors.deployed.weth, head)


async def _last_holdings(node_chain: NodeChain, actors: Actors) -> Holdings | None:
    try:
        return await _holdings(node_chain, actors)
    except NodeError as error:
        # What the run did must still be told.
        LOG.error("the balances after the run are not known: %s", error)
        return None


def _remarks(journal: Journal, lists: Lists) -> list[Notice]:
    found = []
    if journal.dropped_tail:
        detail = f"{journal.dropped_tail} bytes of an unfinished last line set aside"
        found.append(Notice("journal", detail))
    if lists.left_out:
        found.append(
            Notice("pools", f"{len(lists.left_out)} pools of the files are not tracked (pools.track_all = false)")
        )
    return found


def _started(settings: Settings, actors: Actors, lists: Lists, before: Holdings, *, sending: bool) -> Started:
    return Started(
        chain_id=settings.chain.id,
        block_number=before.block_number,
        pools=len(lists.specs),
        contract=actors.contract,
        sender=actors.sender,
        sending=sending,
        symbols={token.address: token.symbol for token in lists.tokens},
    )
