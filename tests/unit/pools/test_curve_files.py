"""Curve pools in pool files, and how programs call them."""

from __future__ import annotations

from typing import Any

import pytest

from flasharb.errors import UsageError
from flasharb.execution.commands import curve
from flasharb.execution.commands.curve import CurveCall
from flasharb.execution.commands.leg import Leg
from flasharb.execution.planning import plan_swap
from flasharb.pools import PoolSpec
from flasharb.pools.cryptoswap import TRICRYPTO2, TWOCRYPTO_NG, CryptoFacts
from flasharb.pools.files import parse_pools, pool_file_json
from flasharb.pools.protocols import PROTOCOLS, check_address
from flasharb.pools.stableswap import EARLY, NG, TEMPLATE_2, StableFacts
from flasharb.pools.stableswap.codes import THREE_POOL
from flasharb.pools.stableswap.rules import META_FACTORY_1
from flasharb.units import Address, address, checksum
from tests.support.curve_samples import COINS, LP, POOL, crypto_spec, stable_spec

WETH = address("0xC02aaA39b223FE8D0A0e5C4F27eAD9083C756Cc2")
ETHER_FACTS = StableFacts(TEMPLATE_2, (10**18, 10**18), 9, native=1)
ETHER_POOL = PoolSpec(POOL, "curve_stableswap", (COINS[0], WETH, LP), 0, facts=ETHER_FACTS)
META_FACTS = StableFacts(META_FACTORY_1, (10**18, 10**18), 17, base=THREE_POOL)

SPECS = (
    stable_spec(StableFacts(EARLY, (10**18, 10**30, 10**30))),
    stable_spec(StableFacts(TEMPLATE_2, (10**18, 10**30), 9)),
    stable_spec(StableFacts(NG, (10**18, 10**28, 10**18), 49)),
    crypto_spec(CryptoFacts(TRICRYPTO2, (10**12, 10**10, 1), (LP, 4))),
    crypto_spec(CryptoFacts(TWOCRYPTO_NG, (1, 1))),
    ETHER_POOL,
    PoolSpec(POOL, "curve_stableswap", (COINS[0], THREE_POOL.tokens[3], POOL), 0, facts=META_FACTS),
)


@pytest.mark.parametrize("spec", SPECS)
def test_a_pool_file_tells_and_is_told_the_same(spec: PoolSpec) -> None:
    """An entry becomes a spec, and a spec the entry; nothing vouches but code and storage, when the pool is loaded."""
    entry = {
        "address": checksum(spec.address),
        "protocol": spec.protocol,
        "tokens": [checksum(token) for token in spec.tokens],
        "facts": dict(PROTOCOLS[spec.protocol].write_facts(spec.facts)),  # type: ignore[misc]
    }
    file = parse_pools({"chain_id": 1, "pools": [entry]})
    assert file.pools == (spec,)
    assert parse_pools(pool_file_json(file)).pools == (spec,)
    assert check_address(spec, 1) is None


@pytest.mark.parametrize(
    ("protocol", "facts", "says"),
    [
        ("curve_stableswap", {"rules": "early"}, "expected the keys rules, decimals"),
        ("curve_stableswap", {"rules": "lent", "decimals": [18, 6]}, "'lent' is none of early, hashed"),
        ("curve_stableswap", {"rules": "plain3_2022", "decimals": [18, 6]}, "plain3_2022 has 3 coins, not 2"),
        ("curve_stableswap", {"rules": "meta", "decimals": [18, 18], "base": "0x" + "11" * 20}, "base: expected one"),
        ("curve_stableswap", {"rules": "ng", "decimals": [18]}, "decimals: expected those of all coins"),
        ("curve_stableswap", {"rules": "ng", "decimals": [18, True]}, "decimals: expected those of all coins"),
        ("curve_stableswap", {"rules": "ng", "decimals": [18, 6], "lp_supply_slot": -1}, "lp_supply_slot: expected"),
        ("curve_stableswap", {"rules": "ng", "decimals": [18, 6], "native": 2}, "native: expected the number"),
        ("curve_cryptoswap", {"rules": "tricrypto2", "decimals": [18, 6, 8], "lp": 1}, "expected the keys rules"),
        ("curve_cryptoswap", {"rules": "early", "decimals": [18, 6]}, "is none of tricrypto2"),
        ("curve_cryptoswap", {"rules": "twocrypto", "decimals": [18, 6], "lp_supply": [8]}, "lp_supply: expected"),
    ],
)
def test_wrong_facts_are_named(protocol: str, facts: dict[str, Any], says: str) -> None:
    """With the entry's place in the file."""
    tokens = [checksum(COINS[0]), checksum(COINS[1])]
    entry = {"address": checksum(POOL), "protocol": protocol, "tokens": tokens, "facts": facts}
    with pytest.raises(UsageError, match=r"pools\[0\]: facts: ") as caught:
        parse_pools({"chain_id": 1, "pools": [entry]})
    assert says in str(caught.value)


@pytest.mark.parametrize(
    ("spec", "says"),
    [
        (PoolSpec(POOL, "curve_stableswap", COINS[:3], 0, facts=SPECS[1].facts), None),
        (PoolSpec(POOL, "curve_stableswap", COINS[:2], 0, facts=SPECS[1].facts), "lists 2 tokens, its facts tell of 3"),
        (PoolSpec(POOL, "curve_stableswap", COINS, 0, facts=SPECS[0].facts), "lists 4 tokens, its facts tell of 3"),
        (PoolSpec(POOL, "curve_cryptoswap", COINS[:2], 0, facts=SPECS[3].facts), "tricrypto2 has 3 coins"),
        (PoolSpec(POOL, "curve_stableswap", COINS[:3], 0, facts=ETHER_FACTS), "coin 1 is ether"),
        (PoolSpec(POOL, "curve_stableswap", COINS[:3], 0, facts=META_FACTS), "last coin of a metapool"),
    ],
)
def test_tokens_and_facts_must_agree(spec: PoolSpec, says: str | None) -> None:
    """Before anything is loaded."""
    reason = check_address(spec, 1)
    assert reason is None if says is None else says in str(reason)


@pytest.mark.parametrize(
    ("spec", "calls"),
    [
        (SPECS[0], {(0, 1): CurveCall.EXCHANGE}),
        (SPECS[1], {(0, 1): CurveCall.EXCHANGE, (1, 2): CurveCall.ADD, (2, 0): CurveCall.REMOVE}),
        (SPECS[2], {(0, 2): CurveCall.EXCHANGE, (1, 3): CurveCall.ADD_ANY, (3, 0): CurveCall.REMOVE}),
        (SPECS[3], {(0, 2): CurveCall.EXCHANGE_UINT}),
        (SPECS[4], {(1, 0): CurveCall.EXCHANGE_UINT}),
    ],
)
def test_the_facts_of_a_pool_say_how_it_is_called(spec: PoolSpec, calls: dict[tuple[int, int], CurveCall]) -> None:
    """Indices of the right type, arrays of the right kind; only tokens that the pool pulls are approved."""
    for (i, j), call in calls.items():
        leg = Leg("curve", Address(spec.address), spec.tokens[i], spec.tokens[j], i, j, 5, 4, spec.facts)
        command = curve.swap(leg)
        burns = call is CurveCall.REMOVE
        assert (command.call, command.token) == (call, None if burns else spec.tokens[i])
        assert (command.i, command.j) == (0 if burns else i, j)


def test_ether_goes_by_the_name_of_its_wrapper() -> None:
    """The plan unwraps what goes in and leaves the ether that comes out, because the facts say which coin it is."""
    ends = ((1, 0), (0, 1))
    legs = [Leg("curve", POOL, ETHER_POOL.tokens[i], ETHER_POOL.tokens[j], i, j, 5, 4, ETHER_FACTS) for i, j in ends]
    into, out_of = (plan_swap(leg, WETH) for leg in legs)

    call = into[-1]
    assert isinstance(call, curve.Curve)
    assert (len(into), call.token, call.ether_out) == (2, None, False)
    (call,) = out_of
    assert isinstance(call, curve.Curve)
    assert (call.token, call.ether_out) == (COINS[0], True)
