"""Made-up Curve pools, for what can be said without a contract at hand."""

from __future__ import annotations

from hypothesis import strategies as st

from flasharb.pools.cryptoswap import (
    TRICRYPTO2,
    TRICRYPTO_NG,
    TWOCRYPTO,
    TWOCRYPTO_NG,
    CryptoFacts,
    CryptoParameters,
    CryptoRules,
    CryptoSwapPool,
    GammaRamp,
    Prices,
    crypto_pool,
)
from flasharb.pools.cryptoswap.newton import newton_d
from flasharb.pools.cryptoswap.roots import geometric_mean
from flasharb.pools.spec import PoolSpec
from flasharb.pools.stableswap import (
    EARLY,
    NG,
    TEMPLATE_2,
    Ramp,
    StableFacts,
    StableParameters,
    StableRules,
    StableSwapPool,
    stable_pool,
)
from flasharb.pools.stableswap.ramp import steady
from flasharb.pools.stableswap.rules import META_FACTORY_3
from flasharb.units import Address

NOW = 1_720_000_000
POOL = Address(b"\xaa" * 20)
METAPOOL = Address(b"\xab" * 20)
COINS = tuple(Address(bytes([0xC0 + k]) * 20) for k in range(4))
LP = Address(b"\xbb" * 20)
WAD = 10**18
_DECIMALS = st.sampled_from((6, 8, 18))


def stable_spec(facts: StableFacts) -> PoolSpec:
    """A pool with these facts."""
    lp = () if facts.supply_slot is None else (POOL if facts.rules is NG else LP,)
    return PoolSpec(POOL, "curve_stableswap", (*COINS[: facts.lp_index], *lp), 0, facts=facts)


def crypto_spec(facts: CryptoFacts) -> PoolSpec:
    """A pool with these facts."""
    return PoolSpec(POOL, "curve_cryptoswap", COINS[: facts.rules.coins], 0, facts=facts)


def stable(
    balances: tuple[int, ...],
    *,
    rules: StableRules = TEMPLATE_2,
    decimals: tuple[int, ...] | None = None,
    ramp: Ramp | None = None,
    fees: tuple[int, int, int] = (4 * 10**6, 5 * 10**9, 0),
    supply: int | None = None,
) -> StableSwapPool:
    """A StableSwap pool; ``fees`` are fee, admin fee and off-peg multiplier; the LP token begins at 1."""
    n = len(balances)
    rates = tuple(10 ** (36 - digits) for digits in decimals or (18,) * n)
    spec = stable_spec(StableFacts(rules, rates, 7))
    parameters = StableParameters(ramp or steady(200 * rules.a_precision), *fees)
    total = sum(balance * rate // WAD for balance, rate in zip(balances, rates, strict=True))
    supply = total if supply is None else supply
    return stable_pool(spec, parameters, balances=balances, supply=supply, timestamp=NOW)


def metapool(base: StableSwapPool, balances: tuple[int, int]) -> StableSwapPool:
    """A metapool of a coin with 18 decimals against the LP token of a pool, at that pool's price of now."""
    facts = StableFacts(META_FACTORY_3, (WAD, WAD), META_FACTORY_3.slots.total_supply, base=base.spec)
    spec = PoolSpec(METAPOOL, "curve_stableswap", (COINS[3], base.spec.tokens[-1], METAPOOL), 0, facts=facts)
    parameters = StableParameters(steady(20_000), 4 * 10**6, 5 * 10**9)
    return stable_pool(spec, parameters, balances=balances, supply=sum(balances), timestamp=NOW, base=base)


def crypto(
    xp: tuple[int, ...],
    *,
    rules: CryptoRules = TRICRYPTO2,
    a_gamma: tuple[int, int] = (1_707_629, 11_809_167_828_997),
    ramp: GammaRamp | None = None,
    scale: tuple[int, ...] | None = None,
) -> CryptoSwapPool:
    """A CryptoSwap pool of coins with 18 decimals, with these balances in coin 0, in balance with its D."""
    n = len(xp)
    scale = scale or (30_000 * WAD, 2_000 * WAD)[: n - 1]
    balances = (xp[0], *(x * WAD // price for x, price in zip(xp[1:], scale, strict=True)))
    spec = crypto_spec(CryptoFacts(rules, (1,) * n, (LP, 4)))
    ramp = ramp or GammaRamp(a_gamma, a_gamma, 0, 0)
    parameters = CryptoParameters(ramp, 3 * 10**6, 30 * 10**6, 5 * 10**14, 2 * 10**12, 10**15, 600)
    prices = Prices(scale, scale, scale, NOW - 12, WAD, WAD)
    d = newton_d(*a_gamma, xp, rules)
    supply = geometric_mean((d // n, *(d * WAD // (n * price) for price in scale)))
    return crypto_pool(spec, parameters, balances=balances, d=d, prices=prices, supply=supply, timestamp=NOW)


@st.composite
def stable_pools(draw: st.DrawFn, decimals: st.SearchStrategy[int] = _DECIMALS) -> StableSwapPool:
    """StableSwap pools of every generation, up to a thousandfold out of balance."""
    rules = draw(st.sampled_from((EARLY, TEMPLATE_2, NG)))
    n = draw(st.integers(2, 4))
    whole = 10 ** draw(st.integers(3, 9))
    digits = tuple(draw(decimals) for _ in range(n))
    parts = tuple(draw(st.integers(32, 32_000)) for _ in range(n))
    balances = tuple(whole * part * 10**places // 1000 for part, places in zip(parts, digits, strict=True))
    a = draw(st.integers(5, 5000)) * rules.a_precision
    offpeg = draw(st.sampled_from((0, 2 * 10**10, 10**11))) if rules is NG else 0
    fees = (draw(st.integers(0, 10**8)), draw(st.sampled_from((0, 5 * 10**9, 10**10))), offpeg)
    return stable(balances, rules=rules, decimals=digits, ramp=steady(a), fees=fees)


@st.composite
def crypto_pools(draw: st.DrawFn) -> CryptoSwapPool:
    """CryptoSwap pools of every generation, up to twice out of balance."""
    rules = draw(st.sampled_from((TRICRYPTO2, TRICRYPTO_NG, TWOCRYPTO, TWOCRYPTO_NG)))
    n = rules.coins
    whole = 10 ** draw(st.integers(21, 26))
    xp = tuple(whole * draw(st.integers(700, 1400)) // 1000 for _ in range(n))
    a_gamma = (draw(st.integers(10**5, 3 * 10**6)), draw(st.integers(10**12, 10**15)))
    return crypto(xp, rules=rules, a_gamma=a_gamma)
