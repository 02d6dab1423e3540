"""Pools of the Vault are taken for what their code says, never for what a file says."""

from __future__ import annotations

from dataclasses import replace

import pytest

from flasharb.evm import Account
from flasharb.pools import Pool, PoolSpec
from flasharb.pools.balancer import Ramp, StablePool, WeightedPool
from flasharb.pools.balancer.admission import recognised
from flasharb.pools.balancer.code import VAULT, tokens_of, vault_pausable_until
from flasharb.pools.balancer.vault import PAUSED
from flasharb.pools.contract import is_timed
from flasharb.pools.loading import load_pool
from flasharb.pools.protocols import PROTOCOLS, check_address, holder_of, sources_of
from flasharb.pools.storage import Elsewhere, Needs, Refused, mapping_slot
from flasharb.units import Address, Hash32
from tests.support.balancer_world import World, stable_world, weighted_world
from tests.support.pool_bytecode import CONTEXT

HALF = 5 * 10**17
WEIGHTED = weighted_world("weighted_v3", (18, 6), (HALF, HALF))
STABLE = stable_world("stable_v3", (18, 6), (False, False), (False, False), 1)
RATED = stable_world("stable_v3", (18, 6), (True, False), (False, False), 1)


def spec_in(world: World) -> PoolSpec:
    spec = recognised(world.accounts[world.pool].code, world.pool_id, world.tokens, world.vault)
    assert isinstance(spec, PoolSpec)
    return spec


def loaded(world: World, spec: PoolSpec, timestamp: int, hidden: frozenset[int] = frozenset()) -> Pool | Refused | str:
    """What the world's own storage and code make of the spec; ``hidden`` slots of the Vault are not known."""
    slots: dict[int, int] = {}
    seen = Elsewhere({}, {}, None, {})
    while True:
        answer = load_pool(spec, slots, elsewhere=seen)
        if not isinstance(answer, Needs):
            return answer
        if any(at == world.vault and slot in hidden for at, slot in answer.elsewhere):
            return "not known"
        slots |= {slot: world.accounts[spec.address].storage.get(slot, 0) for slot in answer.slots}
        # nobody has joined yet: a balance for each token stands where the Vault has none
        others = {(at, slot): world.accounts[at].storage.get(slot, 10**18) for at, slot in answer.elsewhere}
        codes = {at: world.accounts[at].code for at in answer.code}
        seen = Elsewhere({**seen.slots, **others}, {}, timestamp, {**seen.codes, **codes})


@pytest.mark.parametrize(("world", "kind"), [(WEIGHTED, WeightedPool), (STABLE, StablePool)])
def test_a_pool_is_loaded_when_its_code_vouches_for_it(world: World, kind: type) -> None:
    spec = spec_in(world)
    assert isinstance(loaded(world, spec, CONTEXT.timestamp), kind)
    assert (holder_of(spec), sources_of(spec)) == (world.vault, (world.vault,))
    assert PROTOCOLS[spec.protocol].named(spec) == world.pool_id
    assert tokens_of(world.accounts[world.pool].code) == world.tokens


def test_facts_that_the_code_does_not_hold_are_refused() -> None:
    """Other weights, another time until which it can be paused, another order of tokens, other code."""
    spec = spec_in(WEIGHTED)
    lies = [
        (replace(spec, facts=replace(spec.facts, weights=(HALF + 1, HALF - 1))), "not those that its code holds"),
        (replace(spec, facts=replace(spec.facts, pausable_until=1)), "not those that its code holds"),
        (replace(spec, tokens=spec.tokens[::-1]), "not the tokens"),
        (replace(spec_in(STABLE), facts=replace(spec_in(STABLE).facts, bpt=0)), "not those that its code holds"),
    ]  # type: ignore[type-var]
    for lie, reason in lies:
        answer = loaded(STABLE if lie.protocol == "balancer_stable" else WEIGHTED, lie, CONTEXT.timestamp)
        assert isinstance(answer, Refused)
        assert reason in answer.reason
    foreign = Elsewhere({}, {}, 1, {spec.address: b"\0", WEIGHTED.vault: WEIGHTED.accounts[WEIGHTED.vault].code})
    assert load_pool(spec, {}, elsewhere=foreign) == Refused("the code is none of the pools that are modelled")


@pytest.mark.parametrize(
    ("world", "change", "reason"),
    [
        (WEIGHTED, (HALF, 0), "no pool has the weights"),
        (WEIGHTED, (HALF, HALF + 1), "no pool has the weights"),
        (WEIGHTED, (10**30, 0), "scaling factors"),
        (STABLE, (10**30, 10**30 + 10**18), "scaling factors"),
        (STABLE, (int.from_bytes(STABLE.pool_id, "big"), 5), "its own token"),
    ],
)
def test_code_with_what_no_constructor_lets_pass_is_refused(world: World, change: tuple[int, int], reason: str) -> None:
    """Whoever puts the code there himself writes any immutables into it, and the Vault registers everybody."""
    old, new = (number.to_bytes(32, "big") for number in change)
    code = world.accounts[world.pool].code
    assert old in code
    assert reason in str(recognised(code.replace(old, new), world.pool_id, world.tokens, world.vault))


def test_code_that_names_a_token_twice_is_refused() -> None:
    """A log of the Vault is enough to be asked about such a pool, so that it must have an answer."""
    first, second = (bytes(12) + token for token in WEIGHTED.tokens)
    code = WEIGHTED.accounts[WEIGHTED.pool].code.replace(second, first)
    twice = (WEIGHTED.tokens[0], WEIGHTED.tokens[0])
    assert tokens_of(code) == twice
    assert "by code and storage it is none" in str(recognised(code, WEIGHTED.pool_id, twice, WEIGHTED.vault))


def test_a_vault_of_other_code_is_refused() -> None:
    spec = spec_in(WEIGHTED)
    codes = {spec.address: WEIGHTED.accounts[spec.address].code, WEIGHTED.vault: b"\0"}
    answer = load_pool(spec, {}, elsewhere=Elsewhere({}, {}, 1, codes))
    assert answer == Refused("the code of its Vault is not that of Balancer's")
    assert vault_pausable_until(b"") is None


def test_the_pause_of_the_vault_counts_as_long_as_it_can_hold() -> None:
    """The tests' Vault can be paused until its very first second only: later its pause need not even be known."""
    spec = spec_in(WEIGHTED)
    until = vault_pausable_until(WEIGHTED.accounts[WEIGHTED.vault].code)
    assert until is not None
    assert loaded(WEIGHTED, spec, until, frozenset({PAUSED})) == "not known"
    assert isinstance(loaded(WEIGHTED, spec, until + 1, frozenset({PAUSED})), WeightedPool)


def test_what_a_file_may_not_say() -> None:
    """Already without code: the Vault is Balancer's, address and id belong together, tokens and facts too."""
    mine = spec_in(WEIGHTED)
    spec = replace(mine, facts=replace(mine.facts, vault=VAULT))  # type: ignore[type-var]
    stable = replace(spec_in(STABLE), facts=replace(spec_in(STABLE).facts, vault=VAULT))  # type: ignore[type-var]
    assert check_address(spec, 1) is None
    assert check_address(stable, 1) is None
    assert "is not Balancer's Vault" in (check_address(mine, 1) or "")
    assert "is not how its id" in (check_address(replace(spec, address=Address(b"\x77" * 20)), 1) or "")
    assert "but facts of 2" in (check_address(replace(spec, tokens=(*spec.tokens, VAULT)), 1) or "")
    assert "is not balancer_stable" in (check_address(replace(spec, protocol="balancer_stable"), 1) or "")
    assert "own token" in (check_address(replace(stable, tokens=(*stable.tokens[1:], stable.tokens[0])), 1) or "")
    assert "names the pool" in str(
        recognised(WEIGHTED.accounts[mine.address].code, Hash32(bytes(32)), mine.tokens, WEIGHTED.vault)
    )


def test_a_stable_pool_moves_with_time_while_its_curve_can() -> None:
    """While a ramp lasts, and as long as a remembered rate has not expired."""
    still = loaded(STABLE, spec_in(STABLE), CONTEXT.timestamp)
    assert isinstance(still, StablePool)
    assert is_timed(still)
    assert not still.moves_with_time
    ramping = still.after_amplification_changed(Ramp(100_000, 200_000, CONTEXT.timestamp, CONTEXT.timestamp + 10))
    assert ramping.moves_with_time
    assert not ramping.at(CONTEXT.timestamp + 10).moves_with_time
    pool = loaded(RATED, spec_in(RATED), CONTEXT.timestamp)
    assert isinstance(pool, StablePool)
    assert pool.moves_with_time
    assert not pool.at(pool.fresh_until + 1).moves_with_time


@pytest.mark.parametrize(
    ("world", "slot", "word", "reason"),
    [
        (WEIGHTED, 8, (10**17 + 1) << 192, "more than the tenth"),
        (STABLE, 8, 10**18 << 192, "more than the tenth"),
        (STABLE, 9, 0, "an amplification from 0 to 0"),
        (STABLE, 9, 200_000 | 5_000_001 << 64, "an amplification from 200000"),
        (STABLE, 11, 10**18 << 64, "the protocol takes all of it"),
        (RATED, mapping_slot(0, 10), ((1 << 32) - 1) << 224, "a rate of zero"),
    ],
)
def test_state_that_no_setter_leaves_is_refused(world: World, slot: int, word: int, reason: str) -> None:
    """Whoever puts the code there himself writes any storage beside it; quotes would divide by zero."""
    spec, account = spec_in(world), world.accounts[world.pool]
    changed = Account(account.nonce, account.balance, account.code, {**account.storage, slot: word})
    answer = loaded(replace(world, accounts={**world.accounts, world.pool: changed}), spec, CONTEXT.timestamp)
    assert isinstance(answer, Refused)
    assert reason in answer.reason
