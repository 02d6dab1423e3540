"""Pool files and token files, read and put together for one chain."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any, Final, TypeVar, cast

import msgspec

from flasharb.errors import UsageError
from flasharb.pools.files import PoolFile, TokenFile, parse_pools, parse_tokens
from flasharb.pools.managed.key import PROTOCOL as V4
from flasharb.pools.protocols import DEPLOYMENTS, PROTOCOLS, Deployment, check_address
from flasharb.pools.spec import PoolSpec, Token
from flasharb.pools.token_list import is_token_list, parse_token_list
from flasharb.safe_json import decode_json
from flasharb.units import Address, Hash32, checksum

NO_CODE_HASH: Final = Hash32(bytes(32))
"""Pools inside a singleton are no contracts."""

List = TypeVar("List", PoolFile, TokenFile)


def read_pools(paths: Iterable[str], chain_id: int) -> tuple[PoolSpec, ...]:
    """The pools of ``read_pools_and_factories`` alone."""
    return read_pools_and_factories(paths, chain_id)[0]


def read_pools_and_factories(
    paths: Iterable[str], chain_id: int, v4_manager: Address | None = None
) -> tuple[tuple[PoolSpec, ...], dict[str, Deployment]]:
    """The pools of all files, each once, each at the address where its factory creates it, and those factories.

    Raises:
        UsageError: an unreadable or wrong file, another chain, one address described in two ways, or impostors: pools
            that are not where protocol, tokens and fee say (each is named).
    """
    files = [_read(path, chain_id, parse_pools) for path in paths]
    specs = _unique((pool for file in files for pool in file.pools), "pool")
    deployments = known_deployments(files, chain_id, v4_manager)
    impostors = [(spec, reason) for spec in specs if (reason := check_address(spec, chain_id, {chain_id: deployments}))]
    if impostors:
        named = "".join(f"\n  {checksum(spec.address)}: {reason}" for spec, reason in impostors)
        raise UsageError(f"pools that nothing vouches for (correct or remove them in pools.files):{named}")
    return specs, deployments


def read_pool_file(path: Path, chain_id: int) -> PoolFile:
    """One pool file as it stands; whether its pools are what it says is not looked at.

    Raises:
        UsageError: an unreadable or wrong file, or another chain.
    """
    return _read(str(path), chain_id, parse_pools)


def known_deployments(
    files: Iterable[PoolFile], chain_id: int, v4_manager: Address | None = None
) -> dict[str, Deployment]:
    """The factories of a chain: those that are known, and those that configuration and files name beside.

    ``v4_manager``: the configured Uniswap V4 manager, which vouches for the pools that name it.

    Raises:
        UsageError: a file names another one for a protocol whose factory is known.
    """
    deployments = dict(DEPLOYMENTS.get(chain_id, {}))
    if v4_manager is not None and v4_manager != PROTOCOLS[V4].singletons.get(chain_id):
        deployments[V4] = Deployment(v4_manager, v4_manager, NO_CODE_HASH)
    for name, deployment in (item for file in files for item in file.deployments.items()):
        if deployments.setdefault(name, deployment) != deployment:
            raise UsageError(f"deployments.{name} of a pool file is not the one known on chain {chain_id}")
    return deployments


def read_tokens(paths: Iterable[str], chain_id: int) -> tuple[Token, ...]:
    """The tokens of all files, each once; a file is ours (``pools.files``) or a published token list.

    Raises:
        UsageError: an unreadable or wrong file, another chain, or one address described in two ways.
    """

    def parse(content: object) -> TokenFile:
        if is_token_list(content):
            return parse_token_list(cast(Mapping[str, Any], content), chain_id)
        return parse_tokens(content)

    return _unique((token for path in paths for token in _read(path, chain_id, parse).tokens), "token")


def _read(path: str, chain_id: int, parse: Callable[[object], List]) -> List:
    try:
        content: Any = decode_json(Path(path).expanduser().read_bytes())
    except OSError as error:
        raise UsageError(f"cannot read {path}: {error.strerror}") from None
    except (msgspec.DecodeError, RecursionError) as error:
        raise UsageError(f"{path} is not JSON: {error}") from None
    try:
        parsed = parse(content)
    except UsageError as error:
        raise UsageError(f"{path}: {error}") from None
    if parsed.chain_id != chain_id:
        raise UsageError(f"{path} is for chain {parsed.chain_id}, chain.id is {chain_id}")
    return parsed


Entry = TypeVar("Entry", PoolSpec, Token)


def _unique(entries: Iterable[Entry], what: str) -> tuple[Entry, ...]:
    found: dict[bytes, Entry] = {}
    for entry in entries:
        if found.setdefault(entry.address, entry) != entry:
            raise UsageError(f"{what} 0x{entry.address.hex()} is described in two ways by the configured files")
    return tuple(found.values())
