"""Exact quotes of pools that are kept by another contract or are a share of one, in microseconds.

A V4 pool in the shape of the busy V3 pool of ``bench_pools``, an ERC-4626 vault, and wstETH. The peer of the V4 pool is
the manager's own loop over bitmap words and ticks, in Python.
"""

from __future__ import annotations

from typing import Any

from benchmarks.bench_pools import PRICE_TICK, SPACING, _best, _input_across, _row, busy_pool
from flasharb.pools.managed.key import PoolKey, spec_of
from flasharb.pools.managed.pool import V4Pool, v4_pool
from flasharb.pools.vault_shares.pool import VaultFacts, VaultPool
from flasharb.pools.vault_shares.pool import spec_of as vault_spec
from flasharb.pools.wrapped_steth.pool import WrappedFacts, WrappedPool
from flasharb.pools.wrapped_steth.pool import spec_of as wrapped_spec
from flasharb.units import Address

LOOP = "manager's loop in Python"


def rows() -> list[dict[str, Any]]:
    """Quote and update figures."""
    pool = kept_pool()
    busy = busy_pool()
    within, across = _input_across(busy, 0) // 2, _input_across(busy, 125)
    out = pool.amount_out(0, 1, within)
    lower, upper = (PRICE_TICK // SPACING - 5) * SPACING, (PRICE_TICK // SPACING + 5) * SPACING
    one, two = Address(b"\2" * 20), Address(b"\3" * 20)
    facts = VaultFacts(one, two, 1, 2, 1000, refuses_nothing=False, wide=True)
    vault = VaultPool(vault_spec(facts), facts, 123 * 10**24, 117 * 10**24)
    wrapped = WrappedPool(wrapped_spec(WrappedFacts(one, two)), 9 * 10**24, 8 * 10**24)
    return [
        _row(
            "V4 quote exact-in, in range",
            _best(lambda: pool.amount_out(0, 1, within)),
            LOOP,
            _best(lambda: pool.swapped(0, 1, within), 60),
        ),
        _row(
            "V4 quote exact-in, 125 ticks",
            _best(lambda: pool.amount_out(0, 1, across)),
            LOOP,
            _best(lambda: pool.swapped(0, 1, across), 60),
        ),
        _row("V4 least input, in range", _best(lambda: pool.amount_in(0, 1, out))),
        _row("V4 swap update", _best(lambda: pool.with_price(pool.sqrt_price_x96, pool.tick, pool.liquidity))),
        _row("V4 liquidity update", _best(lambda: pool.with_liquidity_change(lower, upper, 10**12))),
        _row("ERC-4626 deposit / redeem", _best(lambda: vault.amount_out(0, 1, 10**18))),
        _row("wstETH wrap", _best(lambda: wrapped.amount_out(0, 1, 10**18))),
        _row("wstETH unwrap", _best(lambda: wrapped.amount_out(1, 0, 10**18))),
    ]


def kept_pool() -> V4Pool:
    """The busy pool with a protocol fee in one direction."""
    busy = busy_pool()
    key = PoolKey(Address(b"\2" * 20), Address(b"\3" * 20), 3000, SPACING)
    state = (busy.sqrt_price_x96, busy.tick, busy.liquidity)
    return v4_pool(spec_of(Address(b"\1" * 20), key), state, busy.ladder.info, 500)
