"""Specs of every protocol, drawn at random: what a pool file could say of a pool."""

from __future__ import annotations

from collections.abc import Callable

from hypothesis import strategies as st

from flasharb.pools.balancer.code import VAULT
from flasharb.pools.balancer.facts import WeightedFacts
from flasharb.pools.balancer.stable_facts import StableFacts as VaultStableFacts
from flasharb.pools.constant_rate.storage import PsmFacts
from flasharb.pools.cryptoswap.rules import RULES as CRYPTO_RULES
from flasharb.pools.cryptoswap.rules import CryptoFacts
from flasharb.pools.managed.key import ManagedFacts
from flasharb.pools.protocols import PROTOCOLS
from flasharb.pools.solidly.facts import LAYOUTS, SolidlyFacts
from flasharb.pools.spec import PoolSpec
from flasharb.pools.stableswap.codes import BASES
from flasharb.pools.stableswap.rules import RULES as STABLE_RULES
from flasharb.pools.stableswap.rules import StableFacts
from flasharb.units import Address, Hash32, address

WETH = address("0xC02aaA39b223FE8D0A0e5C4F27eAD9083C756Cc2")
ADDRESSES = st.binary(min_size=20, max_size=20).map(Address)
DIGITS = st.integers(0, 18)
SLOTS = st.integers(0, 255)
ONE = 10**18


def tokens(count: int, *, ascending: bool = False) -> st.SearchStrategy[tuple[Address, ...]]:
    drawn = st.lists(ADDRESSES, min_size=count, max_size=count, unique=True)
    return drawn.map(lambda found: tuple(sorted(found) if ascending else found))


@st.composite
def weighted(draw: st.DrawFn, protocol: str) -> PoolSpec:
    count = draw(st.integers(2, 8))
    shares = draw(st.lists(st.integers(1, ONE // 8), min_size=count - 1, max_size=count - 1))
    at, kind = draw(ADDRESSES), draw(st.sampled_from(("weighted_v1", "weighted_v2", "weighted_v3")))
    pool_id = Hash32(at + (1).to_bytes(2, "big") + draw(st.binary(min_size=10, max_size=10)))
    scaling = tuple(10 ** (18 - draw(DIGITS)) for _ in range(count))
    weights = (*shares, ONE - sum(shares))
    facts = WeightedFacts(VAULT, pool_id, kind, scaling, weights, draw(st.integers(0, 1 << 32)))
    return PoolSpec(at, protocol, draw(tokens(count)), 0, facts=facts)


@st.composite
def vault_stable(draw: st.DrawFn, protocol: str) -> PoolSpec:
    count = draw(st.integers(3, 6))
    at, kind = draw(ADDRESSES), draw(st.sampled_from(("stable_v1", "stable_v3")))
    pool_id = Hash32(at + bytes(2) + draw(st.binary(min_size=10, max_size=10)))
    flags = [draw(st.tuples(*[st.booleans()] * count)) for _ in range(2)]
    facts = VaultStableFacts(
        VAULT,
        pool_id,
        kind,
        draw(st.integers(0, count - 1)),
        tuple(10 ** (18 - draw(DIGITS)) for _ in range(count)),
        flags[0],
        flags[1],
        draw(st.integers(0, 1 << 32)),
    )
    return PoolSpec(at, protocol, draw(tokens(count)), 0, facts=facts)


@st.composite
def pair(draw: st.DrawFn, protocol: str) -> PoolSpec:
    fee = PROTOCOLS[protocol].default_fee_pips
    return PoolSpec(
        draw(ADDRESSES),
        protocol,
        draw(tokens(2, ascending=True)),
        draw(st.integers(0, 999_999)) if fee is None else fee,
    )


@st.composite
def concentrated(draw: st.DrawFn, protocol: str) -> PoolSpec:
    usual = PROTOCOLS[protocol].tick_spacings
    fee = draw(st.one_of(st.sampled_from(sorted(usual)), st.integers(1, 99)))
    spacing = usual.get(fee) or draw(st.integers(1, 16383))
    return PoolSpec(draw(ADDRESSES), protocol, draw(tokens(2, ascending=True)), fee, spacing)


@st.composite
def managed(draw: st.DrawFn, protocol: str) -> PoolSpec:
    facts = ManagedFacts(
        draw(ADDRESSES), draw(st.binary(min_size=32, max_size=32)), draw(ADDRESSES), draw(st.booleans())
    )
    numbers = draw(st.integers(0, 999_999)), draw(st.integers(1, 32767))
    return PoolSpec(draw(ADDRESSES), protocol, draw(tokens(2)), *numbers, facts=facts)


@st.composite
def solidly(draw: st.DrawFn, protocol: str) -> PoolSpec:
    units = 10 ** draw(DIGITS), 10 ** draw(DIGITS)
    facts = SolidlyFacts(protocol, draw(st.booleans()), units, draw(ADDRESSES))  # type: ignore[arg-type]
    return PoolSpec(draw(ADDRESSES), protocol, draw(tokens(2)), 0, facts=facts)


@st.composite
def stableswap(draw: st.DrawFn, protocol: str) -> PoolSpec:
    rules, slot = STABLE_RULES[draw(st.sampled_from(sorted(STABLE_RULES)))], draw(st.none() | SLOTS)
    count = rules.coins or draw(st.integers(2, 8))
    rates = tuple(10 ** (36 - draw(DIGITS)) for _ in range(count))
    native, base = draw(st.none() | st.integers(0, count - 1)), draw(st.none() | st.sampled_from(tuple(BASES.values())))
    held = list(draw(tokens(count + (slot is not None))))
    if base is not None:
        native, held[count - 1] = None, base.tokens[-1]
    elif native is not None:
        held[native] = WETH
    facts = StableFacts(rules, rates, slot, native, base)
    return PoolSpec(draw(ADDRESSES), protocol, tuple(held), 0, facts=facts)


@st.composite
def cryptoswap(draw: st.DrawFn, protocol: str) -> PoolSpec:
    rules = CRYPTO_RULES[draw(st.sampled_from(sorted(CRYPTO_RULES)))]
    precisions = tuple(10 ** (18 - draw(DIGITS)) for _ in range(rules.coins))
    facts = CryptoFacts(rules, precisions, draw(st.none() | st.tuples(ADDRESSES, SLOTS)))
    return PoolSpec(draw(ADDRESSES), protocol, draw(tokens(rules.coins)), 0, facts=facts)


@st.composite
def psm(draw: st.DrawFn, protocol: str) -> PoolSpec:
    facts = PsmFacts(draw(ADDRESSES), 10 ** draw(DIGITS), draw(SLOTS), draw(SLOTS))
    return PoolSpec(draw(ADDRESSES), protocol, draw(tokens(2)), 0, facts=facts)


@st.composite
def wrapper(draw: st.DrawFn, protocol: str) -> PoolSpec:
    return PoolSpec(draw(ADDRESSES), protocol, draw(tokens(2)), 0)


STRATEGIES: dict[str, Callable[[str], st.SearchStrategy[PoolSpec]]] = {
    "uniswap_v4": managed,
    "balancer_weighted": weighted,
    "balancer_stable": vault_stable,
    "maker_lite_psm": psm,
    "wrapped_native": wrapper,
    "curve_stableswap": stableswap,
    "curve_cryptoswap": cryptoswap,
    **dict.fromkeys(LAYOUTS, solidly),
    **{name: pair for name, one in PROTOCOLS.items() if one.kind == "v2" and one.sorted_tokens},
    **{name: concentrated for name, one in PROTOCOLS.items() if one.kind == "v3" and one.sorted_tokens},
}
UNLISTED = {"quoted_v2", "quoted_v3", "quoted_curve", "quoted_solidly", "erc4626", "wsteth"}
"""Of these only a trial on a block's state says what they are: no pool file vouches for them."""
