"""The registry: what the house must know of each protocol, and where the protocols are deployed.

A ``Protocol`` is what all deployments of one bytecode share. Whatever treats pools by their protocol goes through its
fields; nothing outside a protocol's own package and its encoder in ``execution`` names it. A ``Deployment`` is where
one chain has it; with it, a pool's address follows from tokens and fee (CREATE2), so that a pool file cannot pass off a
foreign contract as a known pool. For a chain that is not listed here, the caller passes deployments in.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, Final, TypeAlias

from eth_hash.auto import keccak

from flasharb.pools import untried
from flasharb.pools.balancer import admission as balancer
from flasharb.pools.balancer import events as balancer_events
from flasharb.pools.balancer import files as balancer_files
from flasharb.pools.balancer.creation import POOL_REGISTERED
from flasharb.pools.concentrated import storage as concentrated
from flasharb.pools.concentrated.creation import POOL_CREATED
from flasharb.pools.concentrated.known_part import known_part
from flasharb.pools.concentrated.storage import V3Layout
from flasharb.pools.constant_product import forks
from flasharb.pools.constant_product import storage as constant_product
from flasharb.pools.constant_product.creation import FORK_CREATED, pair_created
from flasharb.pools.constant_product.storage import V2Layout
from flasharb.pools.constant_rate import files as constant_rate_files
from flasharb.pools.constant_rate import storage as constant_rate
from flasharb.pools.contract import Pool
from flasharb.pools.creation import AskAbout, Creation
from flasharb.pools.cryptoswap import files as cryptoswap_files
from flasharb.pools.cryptoswap import storage as cryptoswap
from flasharb.pools.cryptoswap.admission import PROTOCOL as CRYPTOSWAP
from flasharb.pools.cryptoswap.creation import CREATIONS as CRYPTOSWAP_CREATIONS
from flasharb.pools.cryptoswap.events import RULES as CRYPTOSWAP_RULES
from flasharb.pools.events import Rule, topics_of
from flasharb.pools.managed import files as managed_files
from flasharb.pools.managed import key as managed_key
from flasharb.pools.managed import storage as managed
from flasharb.pools.managed.creation import INITIALIZE
from flasharb.pools.quoted import NOT_MODELLED
from flasharb.pools.solidly import creation as solidly_creation
from flasharb.pools.solidly import files as solidly_files
from flasharb.pools.solidly import storage as solidly
from flasharb.pools.solidly.facts import LAYOUTS as SOLIDLY_KINDS
from flasharb.pools.spec import PoolSpec
from flasharb.pools.stableswap import files as stableswap_files
from flasharb.pools.stableswap import storage as stableswap
from flasharb.pools.stableswap.codes import PROTOCOL as STABLESWAP
from flasharb.pools.stableswap.creation import CREATIONS as STABLESWAP_CREATIONS
from flasharb.pools.stableswap.events import RULES as STABLESWAP_RULES
from flasharb.pools.storage import Elsewhere, Needs, Refused
from flasharb.pools.vault_shares import pool as vault_pool
from flasharb.pools.vault_shares import storage as vault_shares
from flasharb.pools.wrapped_steth import pool as wrapped_pool
from flasharb.pools.wrapped_steth import storage as wrapped_steth
from flasharb.settings import DEVNET_CHAIN_ID
from flasharb.units import Address, Hash32, address, checksum

ReadPlace: TypeAlias = Callable[[Address, int], int | None]
"""A storage slot of a contract, None where it is not known."""

Load: TypeAlias = Callable[[PoolSpec, Mapping[int, int], Elsewhere, int | None], Pool | Needs | Refused]


@dataclass(frozen=True, slots=True)
class Deployment:
    """A protocol on one chain; ``deployer`` is the contract that runs CREATE2 (mostly the factory itself)."""

    factory: Address
    deployer: Address
    init_code_hash: Hash32


def _no_facts(_item: Mapping[str, Any]) -> None:
    return None


def _no_sources(_spec: PoolSpec) -> tuple[Address, ...]:
    return ()


def _own_facts(spec: PoolSpec) -> Hashable:
    return spec.facts


@dataclass(frozen=True, slots=True)
class Protocol:
    """One bytecode and its forks with the same behaviour.

    Always:

    - ``name``: what specs and pool files call it; ``kind``: the mathematics, which also picks the encoder.
    - ``load``: from storage slots, what is known elsewhere and the bitmap words wanted to a pool (``pools.storage``).
    - ``gas``: the least gas of one hop, so that no good trade is dropped on an estimate.

    Where it applies:

    - ``default_fee_pips``: the fee of a pool file entry without one; None where the fee differs by pool.
    - ``rules``: the logs that move a pool (``pools.events``). The events of V2 and V3 have types of their own in the
      feed, because a bus brings hundreds of thousands of them a second.
    - ``sources``: other contracts whose logs move the pool (a rate provider, a vault); they are followed as well.
    - ``holder``: the contract that holds the pool's tokens, where that is not at the pool's address (V4's manager).
    - ``named``: what a program must say of the pool beside its address (V4's key, a Balancer pool id): its facts.
    - ``vouch``: why a spec's address cannot be right, by other means than CREATE2; ``create2_salt``: by CREATE2.
    - ``identify``: from an address, its slots and what is known elsewhere to the spec of the pool there, to what is
      missing to say so, or to the reason why it is none that is traded; None where the contract is no such pool at all.
    - ``timed``: its pools answer for one block time (``contract.Timed``).
    - ``factory``: the factory (or the singleton) that the facts name, which must be the deployment's; ``singletons``:
      those that are known by chain without a deployment.
    - ``probed``: only a trial in the local EVM says what a pool does (``pools.untried``). The service tries them out at
      each head and reads their state anew, so that their topics (every token's Transfer) are not asked for.
    - ``read_facts``: a pool file's ``facts`` object into ``PoolSpec.facts``; ValueError for what is wrong with it.
    - ``write_facts``: the other way round, for pool files that discovery writes.
    - ``creations``: the logs by which factories (or the singleton) tell of a new pool.
    - ``drafts``: from factory and tokens to the pools that CREATE2 gives them, as far as it says what they are;
      ``completed`` asks such a pool for the rest.
    - ``sorted_tokens``: a pool has two tokens, the lower address first (pool files call them token0 and token1).
    - ``known_part``: the pool as far as a state knows it of which only some slots are known (a recorded block): exact
      in a part of its range; None where nothing is known. Without it a pool is known whole or not at all.
    - ``flash``: the pool hands out before it takes, so that a route may begin with it without a loan.
    - ``callback``: the function that a pool calls on the recipient of a flash swap (V2) or on the swapper (V3).
    - ``most_spacing``: its pools choose their tick spacing themselves, up to this.
    - ``tick_spacings``: a V3 fee's spacing, as the factory gives it; ``layout``: where the storage has things.
    """

    name: str
    kind: str
    load: Load
    gas: int
    default_fee_pips: int | None = None
    rules: Mapping[bytes, Rule] = field(default_factory=dict)
    sources: Callable[[PoolSpec], tuple[Address, ...]] = _no_sources
    holder: Callable[[PoolSpec], Address] | None = None
    named: Callable[[PoolSpec], object] = _own_facts
    vouch: Callable[[PoolSpec, int], str | None] | None = None
    create2_salt: Callable[[PoolSpec], bytes] | None = None
    identify: AskAbout | None = None
    timed: bool = False
    factory: Callable[[PoolSpec], Address] | None = None
    singletons: Mapping[int, Address] = field(default_factory=dict)
    probed: bool = False
    read_facts: Callable[[Mapping[str, Any]], Hashable] = _no_facts
    known_part: Callable[[PoolSpec, ReadPlace], Pool | None] | None = None
    write_facts: Callable[[Any], Mapping[str, Any]] | None = None
    creations: tuple[Creation, ...] = ()
    drafts: Callable[[Address, tuple[Address, Address]], tuple[PoolSpec, ...]] | None = None
    completed: Callable[[PoolSpec, Mapping[int, int], Elsewhere], PoolSpec | Needs | Refused] | None = None
    sorted_tokens: bool = False
    flash: bool = False
    callback: str | None = None
    most_spacing: int = 0
    tick_spacings: Mapping[int, int] = field(default_factory=dict)
    layout: V2Layout | V3Layout | None = None

    @property
    def callback_selector(self) -> bytes:
        """The four bytes that the pool's call begins with.

        Raises:
            ValueError: its pools do not call back.
        """
        if self.callback is None:
            raise ValueError(f"a pool of {self.name} calls nobody back")
        return keccak(self.callback.encode())[:4]


def _v2(name: str, fee_pips: int, callback: str = "uniswapV2Call") -> Protocol:
    layout = V2Layout()
    return Protocol(
        name,
        "v2",
        load=lambda spec, slots, _elsewhere, _words: constant_product.load(spec, layout, slots),
        gas=50_000,
        default_fee_pips=fee_pips,
        create2_salt=lambda spec: keccak(spec.token0 + spec.token1),
        creations=(pair_created(fee_pips),),
        sorted_tokens=True,
        flash=True,
        callback=f"{callback}(address,uint256,uint256,bytes)",
        layout=layout,
    )


def _v3_salt(spec: PoolSpec) -> bytes:
    return keccak(bytes(12) + spec.token0 + bytes(12) + spec.token1 + spec.fee_pips.to_bytes(32, "big"))


def _v3(name: str, tick_spacings: dict[int, int], layout: V3Layout, callback: str) -> Protocol:
    return Protocol(
        name,
        "v3",
        load=lambda spec, slots, _elsewhere, words: concentrated.load(spec, layout, slots, words),
        known_part=lambda spec, read: _known_v3(spec, layout, read),
        gas=60_000,
        create2_salt=_v3_salt,
        creations=(POOL_CREATED,),
        sorted_tokens=True,
        flash=True,
        callback=f"{callback}(int256,int256,bytes)",
        tick_spacings=MappingProxyType(tick_spacings),
        layout=layout,
    )


def _balancer(name: str, rules: Mapping[bytes, Rule], *, timed: bool) -> Protocol:
    return Protocol(
        name,
        "balancer_v2",
        load=lambda spec, slots, elsewhere, _words: balancer.load(spec, slots, elsewhere),
        gas=60_000,
        default_fee_pips=0,
        rules=rules,
        timed=timed,
        sources=lambda spec: (balancer.vault_of(spec),),
        holder=balancer.vault_of,
        named=balancer.pool_id_of,
        vouch=balancer.vouch,
        creations=(POOL_REGISTERED,),
        read_facts=balancer_files.read_facts,
        write_facts=balancer_files.write_facts,
    )


def _solidly(name: str) -> Protocol:
    return Protocol(
        name,
        "solidly",
        load=lambda spec, slots, elsewhere, _words: solidly.load(spec, slots, elsewhere),
        gas=60_000,
        default_fee_pips=0,
        rules=solidly.RULES,
        create2_salt=lambda spec: keccak(spec.token0 + spec.token1 + bytes((solidly.facts_of(spec).stable,))),
        factory=lambda spec: solidly.facts_of(spec).factory,
        read_facts=solidly_files.reader(name),
        write_facts=solidly_files.write_facts,
        creations=(solidly_creation.PAIR_CREATED, solidly_creation.POOL_CREATED),
        drafts=lambda factory, tokens: solidly_creation.drafts(name, factory, tokens),
        completed=solidly_creation.completed,
        flash=True,
    )


def _known_v3(spec: PoolSpec, layout: V3Layout, read: ReadPlace) -> Pool | None:
    part = known_part(spec, layout, lambda slot: read(spec.address, slot))
    return None if part is None else part.pool


def _known_v4(spec: PoolSpec, read: ReadPlace) -> Pool | None:
    manager = managed_key.facts_of(spec).manager
    return managed.known_part(spec, lambda slot: read(manager, slot))


def _quoted(kind: str, gas: int) -> Protocol:
    """Pools that are called like those of ``kind``, whose mathematics nobody has modelled: see ``pools.quoted``."""
    return Protocol(
        f"quoted_{kind}",
        kind,
        load=lambda _spec, _slots, _elsewhere, _words: Refused(NOT_MODELLED),
        gas=gas,
        default_fee_pips=0,
        vouch=lambda _spec, _chain_id: NOT_MODELLED,
    )


_UNISWAP_SPACINGS: Final = {100: 1, 500: 10, 3000: 60, 10000: 200}
# feeProtocol is a uint32 there, so that slot0 takes two slots and all that follows stands one later
_PANCAKE_V3_LAYOUT: Final = V3Layout(slot0=0, liquidity=5, ticks=6, tick_bitmap=7)
_PANCAKE_V3_SPACINGS: Final = {100: 1, 500: 10, 2500: 50, 10000: 200}

PROTOCOLS: Final[Mapping[str, Protocol]] = MappingProxyType(
    {
        protocol.name: protocol
        for protocol in (
            _v2("uniswap_v2", 3000),
            _v2("sushiswap_v2", 3000),
            _v2("shibaswap_v2", 3000),
            _v2("pancakeswap_v2", 2500, "pancakeCall"),
            Protocol(
                forks.PROTOCOL,
                "v2",
                load=lambda spec, slots, elsewhere, _words: forks.load(spec, slots, elsewhere),
                identify=forks.identify,
                gas=50_000,
                vouch=forks.vouch,
                creations=(FORK_CREATED,),
                sorted_tokens=True,
                flash=True,
            ),
            _v3("uniswap_v3", _UNISWAP_SPACINGS, V3Layout(), "uniswapV3SwapCallback"),
            _v3("sushiswap_v3", _UNISWAP_SPACINGS, V3Layout(), "uniswapV3SwapCallback"),
            _v3("pancakeswap_v3", _PANCAKE_V3_SPACINGS, _PANCAKE_V3_LAYOUT, "pancakeV3SwapCallback"),
            Protocol(
                managed_key.PROTOCOL,
                "v4",
                load=lambda spec, _slots, elsewhere, words: managed.load(spec, elsewhere, words),
                gas=60_000,
                rules=managed.RULES,
                sources=lambda spec: (managed_key.facts_of(spec).manager,),
                holder=lambda spec: managed_key.facts_of(spec).manager,
                factory=lambda spec: managed_key.facts_of(spec).manager,
                singletons=managed_files.MANAGERS,
                named=managed_key.key_of,
                known_part=_known_v4,
                vouch=managed_files.vouch,
                read_facts=managed_files.read_facts,
                write_facts=managed_files.write_facts,
                creations=(INITIALIZE,),
                most_spacing=managed_key.MAX_TICK_SPACING,
            ),
            _balancer(balancer.WEIGHTED, balancer_events.WEIGHTED_RULES, timed=False),
            _balancer(balancer.STABLE, balancer_events.STABLE_RULES, timed=True),
            *map(_solidly, SOLIDLY_KINDS),
            Protocol(
                vault_pool.PROTOCOL,
                "erc4626",
                load=lambda spec, slots, elsewhere, _words: vault_shares.load(spec, slots, elsewhere),
                gas=50_000,
                default_fee_pips=0,
                rules=vault_shares.RULES,
                sources=lambda spec: (spec.tokens[vault_pool.ASSET],),
                vouch=untried.vouch,
                read_facts=untried.read_facts,
                write_facts=untried.write_facts,
                probed=True,
            ),
            Protocol(
                wrapped_pool.PROTOCOL,
                "wsteth",
                load=lambda spec, _slots, elsewhere, _words: wrapped_steth.load(spec, elsewhere),
                gas=50_000,
                default_fee_pips=0,
                rules=wrapped_steth.RULES,
                sources=lambda spec: (spec.tokens[wrapped_pool.STETH],),
                vouch=untried.vouch,
                read_facts=untried.read_facts,
                write_facts=untried.write_facts,
                probed=True,
            ),
            Protocol(
                "wrapped_native",
                "weth",
                load=lambda spec, _slots, _elsewhere, _words: constant_rate.load_wrapper(spec),
                gas=25_000,
                default_fee_pips=0,
                vouch=constant_rate_files.vouch,
            ),
            Protocol(
                "maker_lite_psm",
                "psm",
                load=lambda spec, slots, elsewhere, _words: constant_rate.load_psm(spec, slots, elsewhere),
                gas=60_000,
                default_fee_pips=0,
                rules=constant_rate.PSM_RULES,
                vouch=constant_rate_files.vouch,
                read_facts=constant_rate_files.read_psm_facts,
                write_facts=constant_rate_files.write_psm_facts,
            ),
            Protocol(
                STABLESWAP,
                "curve",
                load=lambda spec, slots, elsewhere, _words: stableswap.load(spec, slots, elsewhere),
                identify=stableswap.identify,
                timed=True,
                gas=100_000,
                default_fee_pips=0,
                rules=STABLESWAP_RULES,
                sources=stableswap.sources,
                vouch=stableswap_files.vouch,
                read_facts=stableswap_files.read_facts,
                write_facts=stableswap_files.write_facts,
                creations=STABLESWAP_CREATIONS,
            ),
            Protocol(
                CRYPTOSWAP,
                "curve",
                load=lambda spec, slots, elsewhere, _words: cryptoswap.load(spec, slots, elsewhere),
                identify=cryptoswap.identify,
                timed=True,
                gas=150_000,
                default_fee_pips=0,
                rules=CRYPTOSWAP_RULES,
                vouch=cryptoswap_files.vouch,
                read_facts=cryptoswap_files.read_facts,
                write_facts=cryptoswap_files.write_facts,
                creations=CRYPTOSWAP_CREATIONS,
            ),
            _quoted("v2", 50_000),
            _quoted("v3", 60_000),
            _quoted("curve", 60_000),
            _quoted("solidly", 50_000),
        )
    }
)

LOG_TOPICS: Final[Mapping[bytes, int]] = MappingProxyType(
    topics_of(one.rules for one in PROTOCOLS.values() if not one.probed)
)
"""First topics of the logs that some protocol's rules follow, with the topic that names the pool (0: the emitter)."""


def sources_of(spec: PoolSpec) -> tuple[Address, ...]:
    """The other contracts whose logs move the pool."""
    protocol = PROTOCOLS.get(spec.protocol)
    return protocol.sources(spec) if protocol is not None else ()


def probed_among(specs: Iterable[PoolSpec]) -> tuple[Address, ...]:
    """The pools of which only a trial says what they do."""
    return tuple(spec.address for spec in specs if PROTOCOLS[spec.protocol].probed)


def is_timed(spec: PoolSpec) -> bool:
    """Whether the pool answers for one block time."""
    protocol = PROTOCOLS.get(spec.protocol)
    return protocol is not None and protocol.timed


def holder_of(spec: PoolSpec) -> Address:
    """The contract that holds the pool's tokens."""
    protocol = PROTOCOLS.get(spec.protocol)
    return spec.address if protocol is None or protocol.holder is None else protocol.holder(spec)


def _deployment(factory: str, init_code_hash: str, deployer: str | None = None) -> Deployment:
    return Deployment(address(factory), address(deployer or factory), Hash32(bytes.fromhex(init_code_hash)))


_UNISWAP_V3_POOL: Final = "e34f199b19b2b4f47f68442619d555527d244f78a3297ea89325f843f87b8b54"

DEPLOYMENTS: Final[Mapping[int, Mapping[str, Deployment]]] = MappingProxyType(
    {
        1: MappingProxyType(
            {
                "uniswap_v2": _deployment(
                    "0x5C69bEe701ef814a2B6a3EDD4B1652CB9cc5aA6f",
                    "96e8ac4277198ff8b6f785478aa9a39f403cb768dd02cbee326c3e7da348845f",
                ),
                "sushiswap_v2": _deployment(
                    "0xC0AEe478e3658e2610c5F7A4A2E1777cE9e4f2Ac",
                    "e18a34eb0e04b04f7a0ac29a6e80748dca96319b42c54d679cb821dca90c6303",
                ),
                "shibaswap_v2": _deployment(
                    "0x115934131916C8b277DD010Ee02de363c09d037c",
                    "65d1a3b1e46c6e4f1be1ad5f99ef14dc488ae0549dc97db9b30afe2241ce1c7a",
                ),
                "pancakeswap_v2": _deployment(
                    "0x1097053Fd2ea711dad45caCcc45EfF7548fCB362",
                    "57224589c67f3f30a6b0d7a1b54cf3153ab84563bc609ef41dfb34f8b2974d2d",
                ),
                "uniswap_v3": _deployment("0x1F98431c8aD98523631AE4a59f267346ea31F984", _UNISWAP_V3_POOL),
                "sushiswap_v3": _deployment("0xbACEB8eC6b9355Dfc0269C18bac9d6E2Bdc29C4F", _UNISWAP_V3_POOL),
                "pancakeswap_v3": _deployment(
                    "0x0BFbCF9fa4f9C56B0F40a671Ad40E0805A091865",
                    "6ce8eb472fa82df5469c6ab6d485f17c3ad13c8cd7af59b3d4a8026c5ce0f7e2",
                    deployer="0x41ff9AA7e16B8B1a8a8dc4f0eFacd93D02d071c9",
                ),
            }
        ),
        10: MappingProxyType(
            {
                "velodrome_v1": _deployment(
                    "0x25CbdDb98b35ab1FF77413456B31EC81A6B6B746",
                    "c1ac28b1c4ebe53c0cff67bab5878c4eb68759bb1e9f73977cd266b247d149f0",
                ),
                "velodrome_v2": _deployment(
                    "0xF1046053aa5682b4F9a81b5481394DA16BE5FF5a",
                    "c0629f1c7daa09624e54d4f711ba99922a844907cce02997176399e4cc7e8fcf",
                ),
            }
        ),
        8453: MappingProxyType(
            {
                "velodrome_v2": _deployment(
                    "0x420DD381b31aEf6683db6B902084cB0FFECe40Da",
                    "6f178972b07752b522a4da1c5b71af6524e8b0bd6027ccb29e5312b0e5bcdc3c",
                )
            }
        ),
        DEVNET_CHAIN_ID: MappingProxyType(
            {
                "uniswap_v2": _deployment(
                    "0x5C69bEe701ef814a2B6a3EDD4B1652CB9cc5aA6f",
                    "96e8ac4277198ff8b6f785478aa9a39f403cb768dd02cbee326c3e7da348845f",
                ),
                # The pair code that npm has is a later build than the one behind mainnet's factory.
                "sushiswap_v2": _deployment(
                    "0xC0AEe478e3658e2610c5F7A4A2E1777cE9e4f2Ac",
                    "8a1861e3cef8b973c5cfa3a2fb2e737ecf0ffd9dbf7c0acedd82a54ebeb01c94",
                ),
                "uniswap_v3": _deployment("0x1F98431c8aD98523631AE4a59f267346ea31F984", _UNISWAP_V3_POOL),
            }
        ),
    }
)


def pool_address(deployment: Deployment, spec: PoolSpec) -> Address | None:
    """Where the deployment creates this pool (its own address is not looked at); None: not by CREATE2."""
    salt_of = PROTOCOLS[spec.protocol].create2_salt
    if salt_of is None:
        return None
    return Address(keccak(b"\xff" + deployment.deployer + salt_of(spec) + deployment.init_code_hash)[12:])


def check_address(
    spec: PoolSpec, chain_id: int, deployments: Mapping[int, Mapping[str, Deployment]] = DEPLOYMENTS
) -> str | None:
    """Why the pool cannot be what its file says, or None when its address follows from protocol, tokens and fee.

    A protocol without a known deployment on this chain is such a reason too: nothing vouches for the address.
    """
    protocol = PROTOCOLS[spec.protocol]
    deployment = deployments.get(chain_id, {}).get(spec.protocol)
    maker = protocol.singletons.get(chain_id) if deployment is None else deployment.factory
    if maker is None and (protocol.vouch is None or protocol.factory is not None):
        return f"no deployment of {spec.protocol} is known on chain {chain_id}"
    if protocol.factory is not None and maker is not None and (named := protocol.factory(spec)) != maker:
        real = checksum(maker)
        return f"{checksum(named)} is not the factory of {spec.protocol} on chain {chain_id}: that is {real}"
    if protocol.vouch is not None:
        return protocol.vouch(spec, chain_id)
    assert deployment is not None
    expected = pool_address(deployment, spec)
    if expected is None:
        return f"nothing says where pools of {spec.protocol} are"
    if expected != spec.address:
        fee = f", fee {spec.fee_pips} pips" if protocol.tick_spacings else ""
        tokens = " and ".join(map(checksum, spec.tokens))
        return f"not the {spec.protocol} pool of {tokens}{fee}: that one is at {checksum(expected)}"
    return None
