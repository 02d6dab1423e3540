"""Pools from sources that nobody believes: taken where a factory vouches, refused by name elsewhere."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flasharb.pools.concentrated.creation import POOL_CREATED
from flasharb.pools.constant_product.creation import pair_created
from flasharb.pools.creation import FactoryLog
from flasharb.pools.files import PoolFile, parse_pools, pool_file_json
from flasharb.pools.identify import identify, possible
from flasharb.pools.managed.creation import INITIALIZE
from flasharb.pools.managed.files import MANAGERS
from flasharb.pools.managed.key import PoolKey, spec_of
from flasharb.pools.protocols import DEPLOYMENTS, PROTOCOLS, Deployment, pool_address
from flasharb.pools.register import Refusal, Register
from flasharb.pools.spec import PoolSpec
from flasharb.units import Address, Hash32, address

MAINNET = DEPLOYMENTS[1]
USDC = address("0xA0b86991c6218b36c1d19D4a2e9Eb0cE3606eB48")
WETH = address("0xC02aaA39b223FE8D0A0e5C4F27eAD9083C756Cc2")
DAI = address("0x6B175474E89094C44Da98b954EedeAC495271d0F")
PAIR = PoolSpec(address("0xB4e16d0168e52d35CaCD2c6185b44281Ec28C9Dc"), "uniswap_v2", (USDC, WETH), 3000)
POOL = PoolSpec(address("0x88e6A0c2dDD26FEEb64F039a2c41296FcB3f5640"), "uniswap_v3", (USDC, WETH), 500, 10)


def register() -> Register:
    return Register(1, MAINNET)


def word(value: int | bytes) -> bytes:
    return value.to_bytes(32, "big") if isinstance(value, int) else value.rjust(32, b"\0")


def pair_log(spec: PoolSpec, emitter: Address | None = None) -> FactoryLog:
    topics = (pair_created(3000).topic, word(spec.token0), word(spec.token1))
    return FactoryLog(emitter or MAINNET[spec.protocol].factory, topics, word(spec.address) + word(7), 10_008_355)


def pool_log(spec: PoolSpec, spacing: int | None = None) -> FactoryLog:
    topics = (POOL_CREATED.topic, word(spec.token0), word(spec.token1), word(spec.fee_pips))
    data = word(spec.tick_spacing if spacing is None else spacing) + word(spec.address)
    return FactoryLog(MAINNET[spec.protocol].factory, topics, data, 12_376_729)


def test_the_topics_are_those_of_mainnets_factories() -> None:
    assert pair_created(3000).topic.hex() == "0d3648bd0f6ba80134a33ba9275ac585d9d315f0ad8355cddefde31afa28d0e9"
    assert POOL_CREATED.topic.hex() == "783cca1c0412dd0d695e784568c96da2e9c22ff989357a2e8b1d9b2b4e6b7118"


def test_factories_logs_become_pools() -> None:
    found = register()
    assert found.created(pair_log(PAIR)) is None
    assert found.created(pool_log(POOL)) is None
    assert found.specs == {PAIR.address: PAIR, POOL.address: POOL}


NATIVE = PoolKey(Address(bytes(20)), USDC, 500, 10)


def initialize_log(key: PoolKey, pool_id: bytes | None = None) -> FactoryLog:
    topics = (INITIALIZE.topic, pool_id or key.pool_id(), word(key.currency0), word(key.currency1))
    spacing = key.tick_spacing.to_bytes(32, "big", signed=True)
    data = word(key.fee) + spacing + word(key.hooks) + word(1 << 96) + word(0)
    return FactoryLog(MANAGERS[1], topics, data, 21_688_329)


def test_a_singletons_pools_become_pools_and_are_written_with_their_facts() -> None:
    """Ether is called by its wrapper's name; the file says how to find the pool again."""
    found = register()
    assert INITIALIZE.topic.hex() == "dd466e674ea557f56295e2d0218a125ea4b4f0f6f3307b95f85e6110838d6438"
    assert found.created(initialize_log(NATIVE)) is None
    assert found.specs == {NATIVE.pool_id()[:20]: spec_of(MANAGERS[1], NATIVE, WETH)}
    file = PoolFile(1, tuple(found.specs.values()))
    assert parse_pools(pool_file_json(file)) == file


def test_a_singletons_pool_with_hooks_in_swaps_or_a_foreign_id_is_refused() -> None:
    found = register()
    hooked = found.created(initialize_log(replace(NATIVE, hooks=Address(bytes(19) + b"\x80"))))
    foreign = found.created(initialize_log(NATIVE, bytes(32)))
    assert [one.refusal for one in (hooked, foreign) if one] == [Refusal.IMPOSTOR, Refusal.IMPOSTOR]
    assert "hooks" in found.refused[0].detail
    assert "pool id" in found.refused[1].detail


def test_a_log_of_somebody_else_is_no_creation() -> None:
    """Anybody can emit such a log; only the factory's counts, and only in its own shape."""
    found = register()
    assert found.created(pair_log(PAIR, emitter=Address(b"\x66" * 20))) is None
    assert found.created(replace(pair_log(PAIR), data=bytes(32))) is None
    assert found.created(replace(pool_log(POOL), emitter=MAINNET["uniswap_v2"].factory)) is None
    assert found.specs == {}
    assert not found.counts


def test_an_impossible_pool_is_refused_by_name() -> None:
    refused = register().created(pool_log(POOL, spacing=0))
    assert refused is not None
    assert refused.refusal is Refusal.IMPOSTOR
    assert "tick spacing 0" in refused.detail


def test_duplicates_contradictions_and_impostors() -> None:
    found = register()
    assert found.offer(PAIR, "first") is None
    again, other = found.offer(PAIR, "second"), found.offer(replace(PAIR, protocol="sushiswap_v2"), "third")
    impostor = found.offer(replace(PAIR, address=Address(b"\x66" * 20)), "fourth")
    assert [one.refusal for one in (again, other, impostor) if one] == [
        Refusal.DUPLICATE,
        Refusal.CONTRADICTION,
        Refusal.IMPOSTOR,
    ]
    # One line for each that somebody should look at; a duplicate is only counted.
    assert [one.source for one in found.refused] == ["third", "fourth"]
    assert found.counts == {"duplicate": 1, "contradiction": 1, "impostor": 1}
    assert found.specs == {PAIR.address: PAIR}
    assert "0x6666666666666666666666666666666666666666 (fourth): impostor" in str(found.refused[1])


def test_tokens_and_address_are_enough_where_a_factory_vouches() -> None:
    found = register()
    assert found.named(POOL.address, (WETH, USDC), "a message") is None
    assert found.named(PAIR.address, (USDC, WETH), "a message") is None
    assert found.specs == {POOL.address: POOL, PAIR.address: PAIR}
    refused = found.named(PAIR.address, (USDC, DAI), "a message")
    assert refused is not None
    assert refused.refusal is Refusal.IMPOSTOR


def test_a_tier_that_the_factory_added_later_must_be_told() -> None:
    """CREATE2 commits to the fee and not to the spacing, which nobody can guess."""
    odd = replace(POOL, fee_pips=1234, tick_spacing=7)
    at = pool_address(MAINNET["uniswap_v3"], odd)
    assert at is not None
    assert identify(at, odd.tokens, MAINNET) is None
    assert identify(at, odd.tokens, MAINNET, (1234, 7)) == replace(odd, address=at)


def test_all_pools_that_could_be_of_a_token_list_name_those_that_are() -> None:
    specs = {spec.address: spec for spec in possible((WETH, USDC, DAI, WETH), MAINNET)}
    assert specs[PAIR.address] == PAIR
    assert specs[POOL.address] == POOL
    each = sum(len(PROTOCOLS[name].tick_spacings) or 1 for name in MAINNET)
    assert len(specs) == 3 * each


addresses = st.binary(min_size=20, max_size=20).map(Address)


@given(tokens=st.sets(addresses, min_size=2, max_size=2), chain=st.booleans())
def test_a_pool_file_is_read_as_it_was_written(tokens: set[Address], chain: bool) -> None:
    further = {"uniswap_v3": Deployment(USDC, WETH, Hash32(b"\x07" * 32))} if chain else {}
    specs = tuple({spec.address: spec for spec in possible(tuple(tokens), MAINNET)}.values())
    file = PoolFile(5 if chain else 1, specs, further, (3, 9) if chain else None)
    assert parse_pools(pool_file_json(file)) == file


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (5, "expected an object"),
        ({"from_block": 5}, "to_block"),
        ({"from_block": 5, "to_block": 4}, "not before"),
        ({"from_block": 5, "to_block": 6, "more": 1}, "unknown key 'more'"),
    ],
)
def test_a_wrong_span_is_said(content: object, says: str) -> None:
    with pytest.raises(Exception, match=says):
        parse_pools({"chain_id": 1, "pools": [], "discovered": content})


def test_a_pool_whose_facts_no_file_can_hold_is_left_for_a_hand() -> None:
    quoted = PoolSpec(USDC, "quoted_curve", (USDC, DAI), 0, facts=("something",))
    refused = register().offer_for_file(quoted, "a block")
    assert refused is not None
    assert refused.refusal is Refusal.UNWRITABLE


def test_facts_without_a_writer_are_not_left_out_silently() -> None:
    quoted = PoolSpec(USDC, "quoted_curve", (USDC, DAI), 0, facts=("something",))
    with pytest.raises(ValueError, match="does not say how the facts"):
        pool_file_json(PoolFile(1, (quoted,)))


def test_every_known_factory_can_be_discovered() -> None:
    """Whatever has an entry in the table of deployments tells of its pools by a log."""
    assert all(PROTOCOLS[name].creations for chain in DEPLOYMENTS.values() for name in chain)
