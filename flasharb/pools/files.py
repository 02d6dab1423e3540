"""Pool files and token files: JSON objects into specs, with errors that name the entry.

::

    {"chain_id": 1, "pools": [{"address": "0x…", "protocol": "uniswap_v3", "token0": "0x…", "token1": "0x…",
                               "fee_pips": 500, "tick_spacing": 10}]}
    {"chain_id": 1, "tokens": [{"address": "0x…", "symbol": "WETH", "decimals": 18}]}

Pools of other protocols list all their ``tokens`` in the pool's own order, and what the protocol wants to know beside
in ``facts``:

    {"address": "0x…", "protocol": "maker_lite_psm", "tokens": ["0x…", "0x…"], "facts": {"pocket": "0x…", …}}

``fee_pips`` may be left out for a protocol with one fee for all its pools and ``tick_spacing`` for a V3 fee that the
factory knows.

On a chain whose factories ``protocols.DEPLOYMENTS`` does not list, a pool file names them itself, so that its pools'
addresses can be checked::

    "deployments": {"uniswap_v2": {"factory": "0x…", "init_code_hash": "0x…", "deployer": "0x… (if not the factory)"}}

A file that ``flasharb pools discover`` wrote says which blocks' factory logs are in it, so that the next one goes on
from there: ``"discovered": {"from_block": 1, "to_block": 2}``.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar

from flasharb.errors import UsageError
from flasharb.pools.concentrated.tick_math import MAX_TICK
from flasharb.pools.protocols import PROTOCOLS, Deployment, Protocol
from flasharb.pools.spec import PoolSpec, Token
from flasharb.units import PIPS, Address, Hash32, address, checksum

Entry = TypeVar("Entry", PoolSpec, Token)


@dataclass(frozen=True, slots=True)
class PoolFile:
    """The pools of one chain, each address once, and the factories that the file itself names."""

    chain_id: int
    pools: tuple[PoolSpec, ...]
    deployments: Mapping[str, Deployment] = field(default_factory=dict)
    discovered: tuple[int, int] | None = None
    """The first and the last block whose factory logs are in the file."""


@dataclass(frozen=True, slots=True)
class TokenFile:
    """The tokens of one chain, each address once."""

    chain_id: int
    tokens: tuple[Token, ...]


def parse_pools(content: object) -> PoolFile:
    """Check and read a pool file's JSON value.

    Raises:
        UsageError: every wrong entry, each with its place and reason.
    """
    deployments: dict[str, Deployment] = {}
    discovered = None
    if isinstance(content, dict):
        deployments = _deployments(content.get("deployments", {}))
        if "discovered" in content:
            discovered = _discovered(content["discovered"])
        content = {name: value for name, value in content.items() if name not in ("deployments", "discovered")}
    chain_id, pools = _parse(content, "pools", _pool)
    return PoolFile(chain_id, pools, deployments, discovered)


def pool_file_json(file: PoolFile) -> dict[str, Any]:
    """The JSON value of a pool file; ``parse_pools`` gives the same file back.

    Raises:
        ValueError: a pool's protocol does not say how its facts are written.
    """
    content: dict[str, Any] = {"chain_id": file.chain_id}
    if file.deployments:
        content["deployments"] = {name: _deployment_json(one) for name, one in file.deployments.items()}
    if file.discovered is not None:
        content["discovered"] = {"from_block": file.discovered[0], "to_block": file.discovered[1]}
    return {**content, "pools": [_pool_json(spec) for spec in file.pools]}


def _pool_json(spec: PoolSpec) -> dict[str, Any]:
    protocol = PROTOCOLS[spec.protocol]
    item: dict[str, Any] = {"address": checksum(spec.address), "protocol": spec.protocol}
    if protocol.sorted_tokens:
        item |= {"token0": checksum(spec.token0), "token1": checksum(spec.token1)}
    else:
        item["tokens"] = [checksum(token) for token in spec.tokens]
    item["fee_pips"] = spec.fee_pips
    if spec.tick_spacing:
        item["tick_spacing"] = spec.tick_spacing
    if spec.facts is not None:
        if protocol.write_facts is None:
            raise ValueError(f"{spec.protocol} does not say how the facts of {checksum(spec.address)} are written")
        item["facts"] = dict(protocol.write_facts(spec.facts))
    return item


def _deployment_json(deployment: Deployment) -> dict[str, str]:
    item = {
        "factory": checksum(deployment.factory),
        "init_code_hash": "0x" + deployment.init_code_hash.hex(),
        "deployer": checksum(deployment.deployer),
    }
    return item if deployment.deployer != deployment.factory else {k: v for k, v in item.items() if k != "deployer"}


def _discovered(content: object) -> tuple[int, int]:
    if not isinstance(content, dict):
        raise UsageError(f"discovered: expected an object, not {_kind(content)}")
    try:
        _refuse_others(content, {"from_block", "to_block"})
        first = _number(content, "from_block", 0, 2**63, "block")
        return first, _number(content, "to_block", first, 2**63, "block, not before from_block")
    except ValueError as error:
        raise UsageError(f"discovered: {error}") from None


def _deployments(content: object) -> dict[str, Deployment]:
    if not isinstance(content, dict):
        raise UsageError(f"deployments: expected an object, not {_kind(content)}")
    found: dict[str, Deployment] = {}
    problems = []
    for name, item in content.items():
        try:
            if name not in PROTOCOLS:
                raise _Wrong(f"is none of {', '.join(PROTOCOLS)}")
            if not isinstance(item, dict):
                raise _Wrong(f"expected an object, not {_kind(item)}")
            found[name] = _deployment(item)
        except ValueError as error:
            problems.append(f"deployments.{name}: {error}")
    if problems:
        raise UsageError("\n".join(problems))
    return found


def _deployment(item: Mapping[str, Any]) -> Deployment:
    _refuse_others(item, {"factory", "deployer", "init_code_hash"})
    factory = _address(item, "factory")
    text = item.get("init_code_hash")
    try:
        init_code_hash = bytes.fromhex(str(text).removeprefix("0x"))
    except ValueError:
        init_code_hash = b""
    if len(init_code_hash) != 32:
        raise _Wrong(f"init_code_hash: expected 32 bytes of hex, not {_kind(text)}")
    deployer = _address(item, "deployer") if "deployer" in item else factory
    return Deployment(factory, deployer, Hash32(init_code_hash))


def parse_tokens(content: object) -> TokenFile:
    """Check and read a token file's JSON value.

    Raises:
        UsageError: every wrong entry, each with its place and reason.
    """
    chain_id, tokens = _parse(content, "tokens", _token)
    return TokenFile(chain_id, tokens)


def _parse(content: object, key: str, read: Callable[[Mapping[str, Any]], Entry]) -> tuple[int, tuple[Entry, ...]]:
    if not isinstance(content, dict):
        raise UsageError(f'expected an object {{"chain_id": …, "{key}": […]}}, not {_kind(content)}')
    problems = [f"unknown key {name!r} (known: chain_id, {key})" for name in content.keys() - {"chain_id", key}]
    chain_id, items = content.get("chain_id"), content.get(key)
    if not isinstance(chain_id, int) or isinstance(chain_id, bool) or chain_id < 1:
        problems.append(f"chain_id: expected a whole number from 1 on, not {_kind(chain_id)}")
    if not isinstance(items, list):
        problems.append(f"{key}: expected a list, not {_kind(items)}")
        items = []
    entries: dict[Address, Entry] = {}
    for i, item in enumerate(items):
        try:
            if not isinstance(item, dict):
                raise _Wrong(f"expected an object, not {_kind(item)}")
            entry = read(item)
        except ValueError as error:
            problems.append(f"{key}[{i}]: {error}")
            continue
        if entry.address in entries:
            problems.append(f"{key}[{i}].address: {checksum(entry.address)} is listed twice")
        entries[entry.address] = entry
    if problems:
        raise UsageError("\n".join(problems))
    assert isinstance(chain_id, int)
    return chain_id, tuple(entries.values())


class _Wrong(ValueError):
    """What is wrong with an entry; the caller says which one."""


def _pool(item: Mapping[str, Any]) -> PoolSpec:
    name = item.get("protocol")
    protocol = PROTOCOLS.get(name) if isinstance(name, str) else None
    if protocol is None:
        raise _Wrong(f"protocol: {name!r} is none of {', '.join(PROTOCOLS)}")
    named = {"token0", "token1"} if protocol.sorted_tokens else {"tokens", "facts"}
    _refuse_others(item, {"address", "protocol", "fee_pips", "tick_spacing", *named})
    tokens = _pair(item) if protocol.sorted_tokens else _tokens(item)
    fee_pips = _fee(item, protocol)
    spacing = _spacing(item, protocol, fee_pips)
    return PoolSpec(_address(item, "address"), protocol.name, tokens, fee_pips, spacing, _facts(item, protocol))


def _pair(item: Mapping[str, Any]) -> tuple[Address, ...]:
    token0, token1 = _address(item, "token0"), _address(item, "token1")
    if not token0 < token1:
        raise _Wrong("token0 must be the lower address of the two tokens (as on chain), and not the same")
    return token0, token1


def _tokens(item: Mapping[str, Any]) -> tuple[Address, ...]:
    listed = item.get("tokens")
    if not isinstance(listed, list):
        raise _Wrong(f"tokens: expected a list of addresses, not {_kind(listed)}")
    tokens = tuple(_address({"tokens": token}, "tokens") for token in listed)
    if len(tokens) < 2 or len(set(tokens)) != len(tokens):
        raise _Wrong("tokens: expected two or more, each once, in the pool's own order")
    return tokens


def _facts(item: Mapping[str, Any], protocol: Protocol) -> Hashable:
    facts = item.get("facts", {})
    if not isinstance(facts, dict):
        raise _Wrong(f"facts: expected an object, not {_kind(facts)}")
    try:
        return protocol.read_facts(facts)
    except ValueError as error:
        raise _Wrong(f"facts: {error}") from None


def _fee(item: Mapping[str, Any], protocol: Protocol) -> int:
    if item.get("fee_pips") is None and protocol.default_fee_pips is not None:
        return protocol.default_fee_pips
    return _number(item, "fee_pips", 0, PIPS - 1, "hundredths of a basis point, 0.3 % is 3000")


def _spacing(item: Mapping[str, Any], protocol: Protocol, fee_pips: int) -> int:
    if protocol.most_spacing:
        return _number(item, "tick_spacing", 1, protocol.most_spacing, "ticks")
    if not protocol.tick_spacings:
        return (
            _number(item, "tick_spacing", 0, 0, f"a pool of {protocol.name} has none") if "tick_spacing" in item else 0
        )
    usual = protocol.tick_spacings.get(fee_pips)
    if item.get("tick_spacing") is None and usual is not None:
        return usual
    spacing = _number(item, "tick_spacing", 1, min(16383, MAX_TICK), "ticks")
    if usual not in (None, spacing):
        raise _Wrong(
            f"tick_spacing: the {protocol.name} factory gives {usual} to a fee of {fee_pips} pips, not {spacing}"
        )
    return spacing


def _token(item: Mapping[str, Any]) -> Token:
    _refuse_others(item, {"address", "symbol", "decimals"})
    symbol = item.get("symbol")
    if not isinstance(symbol, str) or not symbol.strip() or not symbol.isprintable():
        raise _Wrong(f"symbol: expected printable text, not {symbol!r}")
    return Token(_address(item, "address"), symbol, _number(item, "decimals", 0, 255, "digits"))


def _refuse_others(item: Mapping[str, Any], known: set[str]) -> None:
    for name in item:
        if name not in known:
            raise _Wrong(f"unknown key {name!r} (known: {', '.join(sorted(known))})")


def _address(item: Mapping[str, Any], key: str) -> Address:
    value = item.get(key)
    if not isinstance(value, str):
        raise _Wrong(f"{key}: expected an address in text, not {_kind(value)}")
    try:
        return address(value)
    except ValueError as error:
        raise _Wrong(f"{key}: {error}") from None


def _number(item: Mapping[str, Any], key: str, low: int, high: int, unit: str) -> int:
    value = item.get(key)
    if not isinstance(value, int) or isinstance(value, bool) or not low <= value <= high:
        shown = value if isinstance(value, int | float) else _kind(value)
        raise _Wrong(f"{key}: expected a whole number from {low} to {high} ({unit}), not {shown}")
    return value


def _kind(value: object) -> str:
    """A short word for what stands there instead."""
    return "nothing" if value is None else repr(value) if isinstance(value, str | int | float) else type(value).__name__
