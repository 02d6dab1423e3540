"""Storage that nobody ever wrote reads as zero: of no protocol is that a pool with a price.

A wrong address in a pool file, a pool whose factory is vouched for and which is not there, a contract that was never
set up: all of these answer every question with zero.
"""

from __future__ import annotations

from collections.abc import Mapping
from itertools import permutations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flasharb.pools.balancer.storage import load_stable, load_weighted
from flasharb.pools.constant_product.forks import FORKS
from flasharb.pools.contract import Pool
from flasharb.pools.cryptoswap import storage as cryptoswap
from flasharb.pools.errors import QuoteUnavailable
from flasharb.pools.loading import CorruptPool, Elsewhere, Needs, Refused, load_pool
from flasharb.pools.protocols import PROTOCOLS, Load
from flasharb.pools.spec import PoolSpec
from flasharb.pools.stableswap import storage as stableswap
from flasharb.pools.untried import Untried
from flasharb.pools.wrapped_steth.pool import MAINNET
from flasharb.pools.wrapped_steth.pool import spec_of as wrapped_spec
from flasharb.units import Address, Hash32
from tests.support.pool_specs import ADDRESSES, STRATEGIES, tokens

NOW = 1_700_000_000
NO_CODE: Mapping[Address, Hash32] = {}
AMOUNTS = (10**18, 10**24)
STATELESS = "wrapped_native"
"""The wrapper has no state that could be missing: its supply is its ether."""


@st.composite
def unlisted(draw: st.DrawFn, protocol: str) -> PoolSpec:
    """What is not drawn for pool files: pools before their trial, and pools that only a trial quotes."""
    facts = Untried() if PROTOCOLS[protocol].probed else None
    return PoolSpec(draw(ADDRESSES), protocol, draw(tokens(2)), 0, facts=facts)


def answered(load: Load, spec: PoolSpec, known: Mapping[Address, Hash32] = NO_CODE) -> Pool | Refused | CorruptPool:
    """The pool from a chain on which every slot is zero, no contract has code, and no call returns anything."""
    slots: dict[int, int] = {}
    elsewhere = Elsewhere({}, known, NOW)
    for _ in range(9):
        try:
            found = load(spec, slots, elsewhere, None)
        except CorruptPool as error:
            return error
        if not isinstance(found, Needs):
            return found
        slots |= dict.fromkeys(found.slots, 0)
        elsewhere = Elsewhere(
            {**elsewhere.slots, **dict.fromkeys(found.elsewhere, 0)},
            dict.fromkeys(found.code, Hash32(bytes(32))) | dict(elsewhere.code_hashes),
            NOW,
            {**elsewhere.codes, **dict.fromkeys(found.code, b"")},
        )
    raise AssertionError(f"{spec.protocol} asks without end")


def registered(
    spec: PoolSpec, slots: Mapping[int, int], elsewhere: Elsewhere, words: int | None
) -> Pool | Needs | Refused:
    """As the loaders ask."""
    return load_pool(spec, slots, words, elsewhere)


BEHIND_ITS_CODE: dict[str, Load] = {
    "balancer_weighted": lambda spec, slots, elsewhere, _words: load_weighted(spec, slots, elsewhere),
    "balancer_stable": lambda spec, slots, elsewhere, _words: load_stable(spec, slots, elsewhere),
    "curve_stableswap": lambda spec, slots, elsewhere, _words: stableswap.state(spec, slots, elsewhere),
    "curve_cryptoswap": lambda spec, slots, elsewhere, _words: cryptoswap.state(spec, slots, elsewhere),
}
"""How state is read once the code has passed."""


def refuses(pool: Pool | Refused | CorruptPool) -> bool:
    """Whether there is no pool, or one that names a reason for every quote that it is asked for."""
    if isinstance(pool, Refused | CorruptPool):
        return True
    for i, j in permutations(range(len(pool.spec.tokens)), 2):
        for amount in AMOUNTS:
            for quote in (pool.amount_out, pool.amount_in):
                with pytest.raises(QuoteUnavailable):
                    quote(i, j, amount)
    return True


@pytest.mark.parametrize("protocol", sorted(PROTOCOLS.keys() - {STATELESS}))
@given(data=st.data())
def test_nothing_is_quoted_from_storage_that_was_never_written(protocol: str, data: st.DataObject) -> None:
    """Neither from what the registry's entry loads, nor from what it would load had the code been right."""
    spec = data.draw(STRATEGIES.get(protocol, unlisted)(protocol))
    assert refuses(answered(registered, spec))
    if protocol in BEHIND_ITS_CODE:
        assert refuses(answered(BEHIND_ITS_CODE[protocol], spec))


def test_a_wrapper_over_nothing_gives_no_quote() -> None:
    """Its contracts are the right ones, and Lido's storage is empty."""
    assert refuses(answered(registered, wrapped_spec(MAINNET)))


@pytest.mark.parametrize("code", sorted(FORKS))
def test_a_pair_of_known_code_that_nobody_set_up_is_refused(code: str) -> None:
    """Anybody can deploy the code alone; its tokens are then the zero address twice, which is no pool."""
    spec = PoolSpec(MAINNET.steth, "v2_fork", (MAINNET.steth, MAINNET.wsteth), 3000)
    found = answered(registered, spec, {spec.address: Hash32(bytes.fromhex(code))})
    assert isinstance(found, Refused)
    assert "by code and storage it is none" in found.reason or "is not what the pair's check enforces" in found.reason
