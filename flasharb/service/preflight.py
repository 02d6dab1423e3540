"""What is found out and checked before the first event: the chain, the contract, the key, the lists."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from flasharb.adapters import chain
from flasharb.adapters.keys import load_signer
from flasharb.adapters.lists import read_pools_and_factories, read_tokens
from flasharb.adapters.node import Node
from flasharb.adapters.proven import proofs_refused
from flasharb.errors import UsageError
from flasharb.evm import Fork, fork_at
from flasharb.execution.artifact import Deployed, read_deployed
from flasharb.execution.program import KINDS
from flasharb.execution.signing import SigningKey
from flasharb.market.filters import Excluded, resolve, tracked
from flasharb.pools.protocols import Deployment
from flasharb.pools.spec import PoolSpec, Token
from flasharb.service.executor import Ground
from flasharb.service.newcomers import Sort
from flasharb.settings import Settings, v4_manager
from flasharb.strategy.search import Tokens
from flasharb.units import Address, Hash32, address, checksum, hex0x


@dataclass(frozen=True, slots=True)
class Plan:
    """One run. ``devnet_genesis``: the genesis hash of the devnet that this run started, None where it did not."""

    settings: Settings
    data_dir: Path
    blocks: int | None
    live: bool
    devnet_genesis: Hash32 | None
    environ: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Lists:
    """Pools to hold and tokens by role. ``left_out`` pools are not tracked, each with its cause.

    ``deployments`` are the factories that vouch for pools on this chain; ``sort`` tells which of them are wanted.
    """

    specs: dict[Address, PoolSpec]
    left_out: dict[Address, Excluded]
    deployments: Mapping[str, Deployment]
    sort: Sort
    tokens: tuple[Token, ...]
    roles: Tokens


@dataclass(frozen=True, slots=True)
class Actors:
    """The contract, who acts on it, and the key (None in a dry run without one)."""

    contract: Address
    deployed: Deployed
    sender: Address
    key: SigningKey | None


async def survey(plan: Plan, node: Node) -> Ground:
    """Which chain this is.

    Raises:
        UsageError: another chain than configured, or one whose rules are not known.
        NodeError: the node does not answer.
    """
    settings = plan.settings
    found = await chain.chain_id(node)
    if found != settings.chain.id:
        raise UsageError(f"the node at {node.shown_url} serves chain {found}, chain.id is {settings.chain.id}")
    genesis = await chain.genesis_hash(node)
    if plan.devnet_genesis is not None and genesis != plan.devnet_genesis:
        raise UsageError(f"the embedded devnet's genesis is {hex0x(plan.devnet_genesis)}, the node's {hex0x(genesis)}")
    fork = partial(_fork, settings.chain.fork, found)
    head = await chain.header(node)
    if head is not None:
        try:
            fork(head.number + 1, head.timestamp)
        except ValueError as error:
            raise UsageError(f"{error} (chain.fork can name the rules)") from None
    # Zero bytes are no block's hash: a devnet that we did not start is treated as any other chain.
    return Ground(found, genesis, plan.devnet_genesis or Hash32(bytes(32)), plan.live, fork)


def _fork(named: str, chain_id: int, number: int, timestamp: int) -> Fork:
    return fork_at(chain_id, number, timestamp) if named == "auto" else Fork(named)


async def cast(plan: Plan, node: Node) -> Actors:
    """The contract and who acts on it.

    Raises:
        UsageError: no contract, another contract, or a key that is not its owner's.
    """
    settings = plan.settings
    if not settings.contract.address:
        raise UsageError("contract.address is empty: deploy FlashArb first (flasharb contract deploy)")
    contract = address(settings.contract.address)
    deployed = read_deployed(await chain.code(node, contract))
    if isinstance(deployed, str):
        raise UsageError(f"contract.address {checksum(contract)} is no FlashArb of this version: {deployed}")
    named = settings.chain.wrapped_native
    if named and address(named) != deployed.weth:
        raise UsageError(
            f"chain.wrapped_native is {named}, but the contract was deployed for {checksum(deployed.weth)}"
        )
    key = load_signer(settings.signer, plan.environ, settings.chain.id)
    if key is None and plan.live:
        raise UsageError("--live needs the key of the contract's owner: see [signer]")
    if key is not None and key.address != deployed.owner:
        raise UsageError(
            f"the signer is {checksum(key.address)}, but only {checksum(deployed.owner)} may run "
            f"the contract {checksum(contract)}"
        )
    return Actors(contract, deployed, deployed.owner, key)


async def check_proofs(settings: Settings, node: Node) -> None:
    """That the node proves state, where that is asked for.

    Raises:
        UsageError: it does not.
        NodeError: the node does not answer.
    """
    if settings.simulation.verify_state and (refused := await proofs_refused(node)):
        raise UsageError(
            f"simulation.verify_state = true needs a node that offers eth_getProof; {node.shown_url} says: {refused}"
        )


def read_lists(settings: Settings, wrapped_native: Address) -> Lists:
    """Pools and tokens of the configured files.

    Raises:
        UsageError: a wrong file, a symbol that no list has, or no pools at all.
    """
    specs, deployments = read_pools_and_factories(settings.pools.files, settings.chain.id, v4_manager(settings))
    tokens = read_tokens(settings.pools.token_files, settings.chain.id)
    try:
        base = resolve(settings.strategy.base_tokens, tokens)
        usd = resolve(settings.pools.usd_tokens, tokens)
        further = resolve(settings.pools.tokens, tokens)
    except ValueError as error:
        raise UsageError(str(error)) from None
    listed = {*base, *further, *(token.address for token in tokens)}
    sort = partial(tracked, track_all=settings.pools.track_all, listed=listed, kinds=KINDS)
    kept, left_out = sort(specs)
    if not kept:
        raise UsageError(
            f"no pool to track: the files name {len(specs)}, {len(left_out)} are left out (pools.track_all)"
        )
    roles = Tokens(base, usd, wrapped_native)
    return Lists({spec.address: spec for spec in kept}, left_out, deployments, sort, tokens, roles)
