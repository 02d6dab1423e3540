"""What factories, registries and the Vault log of new pools, and what is made of it once the chain is asked."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest
from eth_hash.auto import keccak

from flasharb.evm import Account
from flasharb.pools.balancer.code import VAULT
from flasharb.pools.balancer.creation import POOL_REGISTERED, REGISTERED
from flasharb.pools.balancer.vault import entry
from flasharb.pools.constant_product import forks
from flasharb.pools.constant_product.creation import FORK_CREATED
from flasharb.pools.creation import Claim, FactoryLog, Listing, Told
from flasharb.pools.identify import possible
from flasharb.pools.loading import Elsewhere, Needs, Refused
from flasharb.pools.protocols import DEPLOYMENTS, PROTOCOLS, check_address
from flasharb.pools.register import Refusal, Register, creators
from flasharb.pools.solidly.creation import DECIMALS, PAIR_CREATED, POOL_CREATED
from flasharb.pools.spec import PoolSpec
from flasharb.units import Address, Hash32, address
from tests.support.balancer_world import World, stable_world, weighted_world
from tests.support.curve_bytecode import needs_mainnet, recorded_address, recorded_code
from tests.support.pool_bytecode import deployed_code, word

TOPICS = {
    "PoolRegistered": {"3c13bc30b8e878c53fd2a36b679409c073afd75950be43d8858768e956fbc20e"},
    "PairCreated": {
        "0d3648bd0f6ba80134a33ba9275ac585d9d315f0ad8355cddefde31afa28d0e9",
        "c4805696c66d7cf352fc1d6bb633ad5ee82f6cb577c453024b6e0eb8306c6fc9",
    },
    "PoolCreated": {
        "783cca1c0412dd0d695e784568c96da2e9c22ff989357a2e8b1d9b2b4e6b7118",
        "2128d88d14c80cb081c1252a5acff7a264671bf199ce226b53788fb26065005e",
    },
    "Initialize": {"dd466e674ea557f56295e2d0218a125ea4b4f0f6f3307b95f85e6110838d6438"},
    "PlainPoolDeployed": {
        "5b4a28c940282b5bf183df6a046b8119cf6edeb62859f75e835eb7ba834cce8d",
        "d1d60d4611e4091bb2e5f699eeb79136c21ac2305ad609f3de569afc3471eecc",
    },
    "MetaPoolDeployed": {"01f31cd2abdeb4e5e10ba500f2db0f937d9e8c735ab04681925441b4ea37eda5"},
    "CryptoPoolDeployed": {"0394cb40d7dbe28dad1d4ee890bdd35bbb0d89e17924a80a542535e83d54ba14"},
    "TricryptoPoolDeployed": {"a307f5d0802489baddec443058a63ce115756de9020e2b07d3e2cd2f21269e2a"},
    "TwocryptoPoolDeployed": {"8152a3037e3dc54154ad0d2cadb1cf7e1d1b9e2b625faa3dfb4fe03d609102ca"},
    "PoolAdded": {
        "e485c16479ab7092c0b3fc4649843c06be7f072194675261590c84473ab0aea9",
        "73cca62ab1b520c9715bf4e6c71e3e518c754e7148f65102f43289a7df0efea6",
    },
}
"""As indexers of mainnet, Optimism and Base list them: first topics by the name of the event."""
HALF = 5 * 10**17
USDC = address("0x833589fCD6eDb6E08f4c7C32D4f71b54bdA02913")
WETH = address("0x4200000000000000000000000000000000000006")
AERODROME = DEPLOYMENTS[8453]["velodrome_v2"].factory
AERODROME_PAIR = address("0xcDAC0d6c6C59727a65F871236188350531885C43")


def test_the_topics_are_those_that_the_chains_know() -> None:
    """Every signature of the registry, hashed; a wrong type in one of them would be silence for ever."""
    found: dict[str, set[str]] = {}
    for protocol in PROTOCOLS.values():
        for creation in protocol.creations:
            name = creation.signature.partition("(")[0]
            found.setdefault(name, set()).add(keccak(creation.signature.encode()).hex())
            assert creation.topic.hex() in found[name]
    assert found == TOPICS


def told(claim: Claim, accounts: Mapping[bytes, Account], answers: Mapping[Any, bytes] | None = None) -> Told:
    """What the claim turns out to be in a world, asked until it is content."""
    slots: dict[tuple[Address, int], int] = {}
    codes: dict[Address, bytes] = {}
    said: dict[tuple[Address, bytes], bytes] = {}
    while True:
        own = {slot: value for (at, slot), value in slots.items() if at == claim.pool}
        hashes = {at: Hash32(keccak(code)) for at, code in codes.items()}
        answer = claim.ask(own, Elsewhere(slots, hashes, None, codes, answers=said))
        if not isinstance(answer, Needs):
            return answer
        nobody = Account()
        for at, slot in (*((claim.pool, slot) for slot in answer.slots), *answer.elsewhere):
            slots[at, slot] = accounts.get(at, nobody).storage.get(slot, 0)
        codes |= {at: accounts.get(at, nobody).code for at in answer.code}
        said |= {call: (answers or {}).get(call, b"") for call in answer.calls}


def claimed(register: Register, log: FactoryLog) -> Claim:
    claim = register.created(log)
    assert isinstance(claim, Claim)
    return claim


# Balancer

WORLDS = {
    "weighted_v1": weighted_world("weighted_v1", (18, 6, 8), (HALF, HALF // 2, HALF // 2)),
    "two tokens": weighted_world("weighted_2tokens_v1", (18, 6), (HALF, HALF)),
    "weighted_v3": weighted_world("weighted_v3", (18, 6), (HALF, HALF)),
    "stable": stable_world("stable_v3", (18, 6), (False, True), (False, False), 1),
}


def registered_log(world: World, vault: Address | None = None) -> FactoryLog:
    topics = (POOL_REGISTERED.topic, world.pool_id, word(world.pool))
    return FactoryLog(vault or world.vault, topics, word(int.from_bytes(world.pool_id[20:22], "big")), 12_300_000)


@pytest.mark.parametrize("world", WORLDS.values(), ids=WORLDS.keys())
def test_a_pool_that_the_vault_registers_is_known_by_code_and_vault(world: World) -> None:
    """With all of its tokens in order, also where the code names one of two only."""
    log = registered_log(world)
    assert POOL_REGISTERED.fits(log)
    claim = POOL_REGISTERED.read("balancer_weighted", log, 1)
    assert isinstance(claim, Claim)
    assert claim.pool == world.pool
    spec = told(claim, world.accounts)
    assert isinstance(spec, PoolSpec)
    assert spec.tokens == world.tokens
    assert spec.protocol == ("balancer_stable" if world is WORLDS["stable"] else "balancer_weighted")


def test_a_pool_that_the_vault_has_not_registered_is_refused() -> None:
    world = WORLDS["weighted_v3"]
    claim = POOL_REGISTERED.read("balancer_weighted", registered_log(world), 1)
    assert isinstance(claim, Claim)
    vault = world.accounts[world.vault]
    gone = {slot: value for slot, value in vault.storage.items() if slot != entry(world.pool_id, REGISTERED)}
    answer = told(claim, {**world.accounts, world.vault: replace(vault, storage=gone)})
    assert isinstance(answer, Refused)
    assert "has not registered" in answer.reason
    register = Register(1, {})
    refused = register.told(claim, answer)
    assert refused is not None
    assert refused.refusal is Refusal.NOT_TRADED


def test_a_pool_of_another_vault_or_of_unknown_code_is_refused() -> None:
    """The log is the real Vault's; the pool behind it says that it belongs to another, or is something else."""
    world, register = WORLDS["weighted_v3"], Register(1, {})
    claim = claimed(register, registered_log(world, VAULT))
    accounts = {**world.accounts, VAULT: world.accounts[world.vault]}
    answer = told(claim, accounts)
    assert isinstance(answer, Refused)
    assert "belongs to another Vault" in answer.reason
    other = told(claim, {**accounts, world.pool: Account(nonce=1, code=b"\x00")})
    assert isinstance(other, Refused | None)
    refused = register.told(claim, other)
    assert refused is not None
    assert refused.refusal in (Refusal.NOT_TRADED, Refusal.UNKNOWN_CODE)


def test_a_pool_id_that_is_not_that_of_the_pool_beside_it_is_an_impostor() -> None:
    log = registered_log(WORLDS["weighted_v3"], VAULT)
    refused = Register(1, {}).created(replace(log, topics=(log.topics[0], bytes(32), log.topics[2])))
    assert not isinstance(refused, Claim | Listing | None)
    assert refused.refusal is Refusal.IMPOSTOR
    assert "does not begin with the pool" in refused.detail


# Solidly

DIGITS = {(USDC, DECIMALS): word(6), (WETH, DECIMALS): word(18)}


def aerodrome_log(pair: Address = AERODROME_PAIR, stable: int = 0) -> FactoryLog:
    topics = (POOL_CREATED.topic, word(WETH), word(USDC), word(stable))
    return FactoryLog(AERODROME, topics, word(pair) + word(5), 3_200_000)


def test_a_pair_of_aerodrome_is_taken_at_its_own_address_with_its_tokens_decimals() -> None:
    register = Register(8453, DEPLOYMENTS[8453])
    claim = claimed(register, aerodrome_log())
    assert register.told(claim, told(claim, {}, DIGITS)) is None
    (spec,) = register.specs.values()
    assert (spec.address, spec.protocol) == (AERODROME_PAIR, "velodrome_v2")
    assert (spec.facts.stable, spec.facts.units) == (False, (10**18, 10**6))  # type: ignore[attr-defined]
    assert check_address(spec, 8453) is None


@pytest.mark.parametrize(
    ("log", "answers", "refusal"),
    [
        (aerodrome_log(stable=1), DIGITS, Refusal.IMPOSTOR),
        (aerodrome_log(pair=USDC), DIGITS, Refusal.IMPOSTOR),
        (aerodrome_log(), {}, Refusal.NOT_TRADED),
        (aerodrome_log(), {**DIGITS, (USDC, DECIMALS): word(99)}, Refusal.NOT_TRADED),
    ],
)
def test_a_pair_of_the_other_curve_or_elsewhere_or_without_decimals_is_refused(
    log: FactoryLog, answers: Mapping[Any, bytes], refusal: Refusal
) -> None:
    register = Register(8453, DEPLOYMENTS[8453])
    claim = claimed(register, log)
    refused = register.told(claim, told(claim, {}, answers))
    assert refused is not None
    assert refused.refusal is refusal
    assert register.specs == {}


def test_a_pair_of_the_first_velodrome_names_its_curve_in_the_data() -> None:
    """WETH and bridged USDC on Optimism."""
    usdc = address("0x7F5c764cBc14f9669B88837ca1490cCa17c31607")
    pair = address("0x79c912FEF520be002c2B6e57EC4324e260f38E50")
    factory = DEPLOYMENTS[10]["velodrome_v1"].factory
    topics = (PAIR_CREATED.topic, word(WETH), word(usdc))
    register = Register(10, DEPLOYMENTS[10])
    claim = claimed(register, FactoryLog(factory, topics, word(0) + word(pair) + word(1), 9_000_000))
    answers = {(usdc, DECIMALS): word(6), (WETH, DECIMALS): word(18)}
    assert register.told(claim, told(claim, {}, answers)) is None
    assert register.specs.keys() == {pair}


def test_a_curve_that_is_neither_is_refused() -> None:
    refused = Register(8453, DEPLOYMENTS[8453]).created(aerodrome_log(stable=2))
    assert not isinstance(refused, Claim | Listing | None)
    assert refused.refusal is Refusal.IMPOSTOR


def test_a_token_list_names_both_pairs_of_two_tokens() -> None:
    """At the real addresses; what their curve's units are is asked then."""
    named = [one for one in possible((USDC, WETH), DEPLOYMENTS[8453]) if isinstance(one, Claim)]
    assert AERODROME_PAIR in {one.pool for one in named}
    specs = [told(one, {}, DIGITS) for one in named]
    assert {spec.facts.stable for spec in specs if isinstance(spec, PoolSpec)} == {False, True}  # type: ignore[attr-defined]
    assert all(isinstance(spec, PoolSpec) and check_address(spec, 8453) is None for spec in specs)


# Forks of Uniswap V2

FORK = Address(b"\x42" * 20)


def fork_log() -> FactoryLog:
    topics = (FORK_CREATED.topic, word(USDC), word(WETH))
    return FactoryLog(forks.FACTORIES[1][0], topics, word(FORK) + word(1), 15_300_000)


def test_a_pair_of_another_factory_is_what_its_code_and_storage_say() -> None:
    register = Register(1, DEPLOYMENTS[1])
    claim = claimed(register, fork_log())
    storage = {6: int.from_bytes(WETH, "big"), 7: int.from_bytes(USDC, "big")}
    pair = Account(nonce=1, code=deployed_code("UniswapV2Pair"), storage=storage)
    assert register.told(claim, told(claim, {FORK: pair})) is None
    assert register.specs == {FORK: PoolSpec(FORK, "v2_fork", (WETH, USDC), 3000)}
    again = register.told(claim, register.specs[FORK])
    assert again is not None
    assert again.refusal is Refusal.DUPLICATE


def test_a_pair_of_unknown_code_is_refused() -> None:
    register = Register(1, DEPLOYMENTS[1])
    claim = claimed(register, fork_log())
    refused = register.told(claim, told(claim, {FORK: Account(nonce=1, code=b"\x00")}))
    assert refused is not None
    assert refused.refusal is Refusal.UNKNOWN_CODE


# Curve


def curve_log(name: str, topics: tuple[bytes, ...] = (), data: bytes = b"") -> FactoryLog:
    """A log of the first contract that emits such an event."""
    for _, emitter, creation in creators(1, DEPLOYMENTS[1]):
        log = FactoryLog(emitter, (creation.topic, *topics), data, 17_000_000)
        if creation.signature.startswith(name) and creation.fits(log):
            return log
    raise AssertionError(name)


@pytest.mark.parametrize(
    ("name", "words"),
    [("PlainPoolDeployed(address[4]", 7), ("PlainPoolDeployed(address[]", 9), ("MetaPool", 5), ("CryptoPool", 14)],
)
def test_factories_that_do_not_name_the_pool_are_asked_for_their_list(name: str, words: int) -> None:
    log = curve_log(name, data=bytes(32 * words))
    listing = Register(1, DEPLOYMENTS[1]).created(log)
    assert isinstance(listing, Listing)
    assert listing.contract == log.emitter


PROXY = bytes.fromhex("363d3d373d3d3d363d73") + b"\x77" * 20 + bytes.fromhex("5af43d82803e903d91602b57fd5bf3")


@pytest.mark.parametrize("event", ["PoolAdded(address)", "TwocryptoPoolDeployed"])
def test_a_proxy_whose_implementation_is_unknown_is_refused(event: str) -> None:
    """By a registry's word or a factory's: the code decides."""
    named = event.startswith("PoolAdded")
    log = curve_log(event, topics=(word(FORK),) if named else (), data=b"" if named else word(FORK) + bytes(32 * 20))
    register = Register(1, DEPLOYMENTS[1])
    claim = claimed(register, log)
    assert claim.pool == FORK
    refused = register.told(claim, told(claim, {FORK: Account(nonce=1, code=PROXY)}))
    assert refused is not None
    assert refused.refusal is Refusal.UNKNOWN_CODE


@needs_mainnet
def test_pools_of_curves_registries_are_known_by_their_code() -> None:
    """3pool and tricrypto2, with their recorded code."""
    register = Register(1, DEPLOYMENTS[1])
    three, tri = recorded_address("3pool"), recorded_address("tricrypto2")
    names = ("3pool", "tricrypto2", "tricrypto2-math")
    accounts = {recorded_address(name): Account(nonce=1, code=recorded_code(name)) for name in names}
    for log in (
        curve_log("PoolAdded(address,bytes)", (word(three),), bytes(64)),
        curve_log("PoolAdded(address)", (word(tri),)),
    ):
        claim = claimed(register, log)
        assert register.told(claim, told(claim, accounts)) is None
    assert {at: spec.protocol for at, spec in register.specs.items()} == {
        three: "curve_stableswap",
        tri: "curve_cryptoswap",
    }
