"""ERC-4626 shares: loading, events, and answers at the edges."""

from __future__ import annotations

import pytest

from flasharb.feed.events import PoolLog
from flasharb.pools.errors import InsufficientLiquidity, Uninitialised
from flasharb.pools.storage import Elsewhere, Needs
from flasharb.pools.vault_shares.pool import VaultFacts, VaultPool, spec_of
from flasharb.pools.vault_shares.storage import RULES, load
from flasharb.units import ZERO_ADDRESS, Address

VAULT, COIN = Address(b"\x01" * 20), Address(b"\x02" * 20)
FACTS = VaultFacts(VAULT, COIN, 7, 2, 0, refuses_nothing=True, wide=False)
VIRTUAL = VaultFacts(VAULT, COIN, 7, 2, 1000, refuses_nothing=False, wide=True)


def vault(held: int, supply: int, facts: VaultFacts = FACTS) -> VaultPool:
    return VaultPool(spec_of(facts), facts, held, supply)


def test_two_slots_of_two_contracts() -> None:
    """Asked for together; the tokens are the asset and the vault itself, which is the market's key."""
    spec = spec_of(FACTS)
    assert load(spec, {}, Elsewhere()) == Needs(frozenset({2}), frozenset({(COIN, 7)}))
    assert load(spec, {2: 5}, Elsewhere()) == Needs(elsewhere=frozenset({(COIN, 7)}))
    assert load(spec, {2: 5}, Elsewhere({(COIN, 7): 9})) == vault(9, 5)
    assert (spec.address, spec.tokens) == (VAULT, (COIN, VAULT))


def test_the_first_deposit_is_one_to_one() -> None:
    """Without virtual shares; nothing can be redeemed of nothing."""
    empty = vault(0, 0)
    assert empty.amount_out(0, 1, 5) == empty.amount_in(0, 1, 5) == 5
    assert empty.marginal_rate(0, 1) == 1.0
    assert empty.swapped(0, 1, 5).pool == vault(5, 5)
    with pytest.raises(InsufficientLiquidity):
        empty.amount_out(1, 0, 1)


def test_a_drained_vault_takes_no_deposit() -> None:
    """Shares without assets: no price; dust that gives nothing is refused where the vault does."""
    drained = vault(0, 5)
    with pytest.raises(Uninitialised):
        drained.amount_out(0, 1, 5)
    with pytest.raises(Uninitialised):
        drained.marginal_rate(1, 0)
    with pytest.raises(InsufficientLiquidity, match="refuses"):
        drained.amount_out(1, 0, 5)
    with pytest.raises(InsufficientLiquidity, match="nothing to give"):
        drained.amount_in(1, 0, 5)
    with pytest.raises(InsufficientLiquidity, match="refuses"):
        vault(1000, 10).amount_out(0, 1, 99)
    assert vault(1000, 10, VIRTUAL).amount_out(0, 1, 0) == 0


def test_amounts_that_are_no_amounts() -> None:
    """Negative ones, and swaps of nothing."""
    for quote in (vault(9, 9).amount_out, vault(9, 9).amount_in):
        assert quote(0, 1, 0) == 0
        with pytest.raises(ValueError, match="negative"):
            quote(0, 1, -1)
    with pytest.raises(ValueError, match="positive"):
        vault(9, 9).swapped(0, 1, 0)


def test_transfers_lead_to_the_state_after() -> None:
    """A deposit is two of them, a donation one; what cannot be is an event that was missed."""
    before = vault(1000, 100, VIRTUAL)
    deposited = before.swapped(0, 1, 77)
    somebody = Address(b"\x09" * 20)
    after = moved(before, COIN, somebody, VAULT, 77)
    assert moved(after, VAULT, ZERO_ADDRESS, somebody, deposited.amount_out) == deposited.pool
    assert moved(before, COIN, somebody, VAULT, 5) == vault(1005, 100, VIRTUAL)
    assert moved(before, COIN, VAULT, somebody, 5) == vault(995, 100, VIRTUAL)
    assert moved(before, VAULT, somebody, ZERO_ADDRESS, 5) == vault(1000, 95, VIRTUAL)
    for contract in (COIN, VAULT):
        assert moved(before, contract, somebody, COIN, 5) == before
    with pytest.raises(ValueError, match="events were missed"):
        before.after_shares_changed(-101)


def moved(pool: VaultPool, contract: Address, sender: Address, receiver: Address, amount: int) -> VaultPool:
    """The vault after a Transfer event of this contract."""
    (rule,) = RULES.values()
    topics = (rule.topic, bytes(12) + sender, bytes(12) + receiver)
    log = PoolLog(contract, topics, amount.to_bytes(32, "big"), 1, 0)
    assert rule.fits(log)
    after = rule.apply(pool, log)
    assert isinstance(after, VaultPool)
    return after


def test_figures() -> None:
    """Rate, reserves and depth."""
    pool = vault(3000, 1000, VIRTUAL)
    assert pool.marginal_rate(0, 1) == 2000 / 3001
    assert pool.marginal_rate(1, 0) == 3001 / 2000
    assert (pool.reserve_in(0, 1), pool.reserve_in(1, 0), pool.depth()) == (3000, 1000, (3000, 1000))
