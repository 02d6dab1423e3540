"""Exact quotes and state updates of Curve pools, in microseconds of CPU (best of several rounds).

The pools are made up, in the shape of busy ones. The peer is curvesim's pool object where that package is installed
(`pip install curvesim` in an environment of its own): ``exchange`` within a snapshot for StableSwap, ``get_dy`` for
CryptoSwap; both must give our amount.
"""

from __future__ import annotations

from collections.abc import Callable
from time import process_time
from typing import Any

from flasharb.pools.cryptoswap import TRICRYPTO2, TRICRYPTO_NG, TWOCRYPTO, TWOCRYPTO_NG, CryptoRules, CryptoSwapPool
from flasharb.pools.stableswap import EARLY, NG, TEMPLATE_2, StableSwapPool
from flasharb.pools.stableswap.ramp import steady
from tests.support import curve_samples as samples
from tests.support.curve_samples import WAD

THREE = (95_000_000 * WAD, 104_000_000 * 10**6, 102_000_000 * 10**6)
TWO = (80_000_000 * WAD, 24_000_000 * 10**6)
OFF_PEG = (13_000_000 * WAD, 18_000_000 * 10**6)
FEES = (10**6, 5 * 10**9, 0)


def rows() -> list[dict[str, Any]]:
    """Quote and update figures."""
    three = samples.stable(THREE, rules=EARLY, decimals=(18, 6, 6), ramp=steady(2000), fees=FEES)
    two = samples.stable(TWO, rules=TEMPLATE_2, decimals=(18, 6), ramp=steady(150_000), fees=FEES)
    ng = samples.stable(OFF_PEG, rules=NG, decimals=(18, 6), ramp=steady(20_000), fees=(*FEES[:2], 5 * 10**10))
    meta = samples.metapool(three, (9_000_000 * WAD, 8_000_000 * WAD))
    moved = three.swapped(1, 0, 10**11).pool
    tricrypto2, tricrypto_ng = crypto(TRICRYPTO2), crypto(TRICRYPTO_NG)
    twocrypto, twocrypto_ng = crypto(TWOCRYPTO), crypto(TWOCRYPTO_NG)
    amount = 100_000 * 10**6
    return [
        _row("stable, 3 coins, quote", lambda: three.amount_out(1, 0, amount), _stable_peer(three, 1, 0, amount)),
        _row("stable, 2 coins, quote", lambda: two.amount_out(1, 0, amount), _stable_peer(two, 1, 0, amount)),
        _row("stable ng, dynamic fee, quote", lambda: ng.amount_out(1, 0, amount)),
        _row("metapool, quote", lambda: meta.amount_out(0, 1, 10**23)),
        _row("metapool, after a swap of its base pool", lambda: meta.with_base(moved)),
        _row("stable, coin to LP token", lambda: two.amount_out(1, 2, amount)),
        _row("stable, LP token to coin", lambda: two.amount_out(2, 1, 10**23)),
        _row("stable, swap update", lambda: two.swapped(1, 0, amount)),
        _row("stable, least input for an output", lambda: two.amount_in(1, 0, 10**23)),
        _row("tricrypto2, quote", lambda: tricrypto2.amount_out(0, 2, 10**23)),
        _row("tricrypto-ng, quote", lambda: tricrypto_ng.amount_out(0, 2, 10**23), _crypto_peer(tricrypto_ng)),
        _row("twocrypto, quote", lambda: twocrypto.amount_out(0, 1, 10**23), _crypto_peer(twocrypto)),
        _row("twocrypto-ng, quote", lambda: twocrypto_ng.amount_out(0, 1, 10**23)),
        _row("tricrypto2, swap update", lambda: tricrypto2.swapped(0, 2, 10**23)),
        _row("tricrypto-ng, swap update", lambda: tricrypto_ng.swapped(0, 2, 10**23)),
    ]


def crypto(rules: CryptoRules) -> CryptoSwapPool:
    """A pool a little out of balance."""
    xp = tuple(10**6 * WAD * part // 100 for part in (2600, 2420, 2510)[: rules.coins])
    a_gamma = (1_700_000, 118 * 10**11) if rules.coins == 3 else (400_000, 145 * 10**12)
    return samples.crypto(xp, rules=rules, a_gamma=a_gamma)


def _stable_peer(pool: StableSwapPool, i: int, j: int, amount: int) -> Callable[[], object] | None:
    try:
        from curvesim.pool.stableswap.pool import CurvePool
    except ImportError:
        return None
    n, a = len(pool.balances), pool.parameters.ramp.future // pool.facts.rules.a_precision
    peer = CurvePool(a, list(pool.balances), n, rates=list(pool.rates), fee=pool.parameters.fee)

    def quote() -> int:
        with peer.use_snapshot_context():
            paid: int = peer.exchange(i, j, amount)[0]
        return paid

    assert quote() == pool.amount_out(i, j, amount)
    return quote


def _crypto_peer(pool: CryptoSwapPool) -> Callable[[], object] | None:
    try:
        from curvesim.pool.cryptoswap.pool import CurveCryptoPool
    except ImportError:
        return None
    parameters, n = pool.parameters, len(pool.balances)
    peer = CurveCryptoPool(
        A=pool.ann,
        gamma=pool.gamma,
        n=n,
        precisions=list(pool.facts.precisions),
        mid_fee=parameters.mid_fee,
        out_fee=parameters.out_fee,
        allowed_extra_profit=parameters.allowed_extra_profit,
        fee_gamma=parameters.fee_gamma,
        adjustment_step=parameters.adjustment_step,
        ma_half_time=parameters.ma_time,
        price_scale=list(pool.prices.scale),
        balances=list(pool.balances),
        D=pool.d,
        tokens=pool.supply,
    )
    assert peer.get_dy(0, n - 1, 10**23) == pool.amount_out(0, n - 1, 10**23)
    return lambda: peer.get_dy(0, n - 1, 10**23)


def _row(case: str, ours: Callable[[], object], peer: Callable[[], object] | None = None) -> dict[str, Any]:
    value, peer_value = _best(ours), None if peer is None else _best(peer, 200)
    return {
        "case": case,
        "value": value,
        "unit": "µs",
        "peer": None if peer is None else "curvesim",
        "peer_value": peer_value,
        "ratio": None if peer_value is None else peer_value / value,
    }


def _best(call: Callable[[], object], repeat: int = 1000, rounds: int = 7) -> float:
    """Microseconds of CPU a call, in the best round."""
    call()
    best = float("inf")
    for _ in range(rounds):
        start = process_time()
        for _ in range(repeat):
            call()
        best = min(best, (process_time() - start) / repeat)
    return best * 1e6
