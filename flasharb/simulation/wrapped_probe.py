"""Does this wstETH wrap and unwrap as ``pools.wrapped_steth`` computes, from the slots that it reads?

Lido's contracts stand behind proxies and have changed their storage before: what is trusted is a trial in the state at
hand, in worlds where its totals are others. Anything else is refused by name.
"""

from __future__ import annotations

from flasharb.evm import BlockContext, Fork, MissingState, StateSource
from flasharb.pools.storage import Elsewhere
from flasharb.pools.wrapped_steth.pool import STETH, WSTETH, WrappedFacts, WrappedPool, spec_of
from flasharb.pools.wrapped_steth.storage import BUFFERED, SHARES, SLOTS, load
from flasharb.simulation.probe import YEAR_S, NotModelled, Trial
from flasharb.units import Address


def probe_wrapped(
    facts: WrappedFacts, executor: Address, source: StateSource, context: BlockContext, fork: Fork
) -> str | MissingState | None:
    """None: it does; or why it does not. State that ``source`` lacks is the answer.

    ``executor`` needs to own nothing, and may own some.
    """
    trial = Trial(executor, source, context, fork)
    try:
        before = trial.machine()
        stored = {(facts.steth, slot): before.storage(facts.steth, slot) for slot in SLOTS}
        # a smaller and a greater rate than the present one
        for slot, value in ((SHARES, 0), (SHARES, stored[facts.steth, SHARES] // 7), (BUFFERED, 10**24 + 7)):
            changed = {(facts.steth, slot): stored[facts.steth, slot] + value}
            _check(facts, trial, stored | changed)
    except MissingState as missing:
        return missing
    except (NotModelled, ValueError) as refused:
        return str(refused)
    return None


def _check(facts: WrappedFacts, trial: Trial, slots: dict[tuple[Address, int], int]) -> None:
    pool = load(spec_of(facts), Elsewhere(slots))
    assert isinstance(pool, WrappedPool)
    world = {(bytes(account), slot): value for (account, slot), value in slots.items()}
    for later in (0, YEAR_S):
        machine = trial.machine(world, later_s=later)
        totals = [trial.ask(machine, facts.steth, name) for name in ("getTotalPooledEther()", "getTotalShares()")]
        if totals != [pool.pooled, pool.shares]:
            raise NotModelled(f"Lido has {totals} of ether and shares, its known slots say {pool.pooled, pool.shares}")
    _move(facts, trial, pool, world)


def _move(facts: WrappedFacts, trial: Trial, pool: WrappedPool, world: dict[tuple[bytes, int], int]) -> None:
    """The wrapper sends stETH to the actor, who wraps it and unwraps that again."""
    machine, actor = trial.machine(world), trial.actor

    def owned(contract: Address, signature: str) -> int:
        told = trial.ask(machine, contract, signature, actor)
        if told is None:
            raise NotModelled(f"{signature} gives no number")
        return told

    shares, wrapper_shares = owned(facts.steth, "sharesOf(address)"), owned(facts.wsteth, "balanceOf(address)")
    amount = (trial.ask(machine, facts.steth, "balanceOf(address)", facts.wsteth) or 0) // 1000 | 1
    sent = trial.act(machine, facts.steth, "transfer(address,uint256)", actor, amount, sender=facts.wsteth)
    held = pool.received(amount)
    arrived = owned(facts.steth, "sharesOf(address)") - shares
    if not sent[0] or pool.pooled_of(arrived) != held:
        raise NotModelled(f"of {amount} stETH sent {arrived} shares arrive, computed worth {held}")
    trial.act(machine, facts.steth, "approve(address,uint256)", facts.wsteth, held)
    wrapped = trial.act(machine, facts.wsteth, "wrap(uint256)", held)
    given = pool.amount_out(STETH, WSTETH, held)
    if wrapped != (True, given) or owned(facts.wsteth, "balanceOf(address)") != wrapper_shares + given:
        raise NotModelled(f"{held} stETH are wrapped to {wrapped}, computed {given}")
    before = owned(facts.steth, "sharesOf(address)")
    unwrapped = trial.act(machine, facts.wsteth, "unwrap(uint256)", given)
    moved = owned(facts.steth, "sharesOf(address)") - before
    if not unwrapped[0] or pool.pooled_of(moved) != pool.amount_out(WSTETH, STETH, given):
        raise NotModelled(f"{given} wstETH are unwrapped to {moved} shares, computed otherwise")
