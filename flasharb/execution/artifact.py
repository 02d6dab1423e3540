"""The committed compilation of FlashArb: creation code to deploy, runtime code to compare with a chain."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from types import MappingProxyType
from typing import Any, Final

import msgspec

from flasharb.units import ZERO_ADDRESS, Address

IMMUTABLES: Final = ("OWNER", "WETH", "VAULT", "MANAGER")
"""The constructor's arguments, in its order; each is a word in the runtime code."""


@dataclass(frozen=True, slots=True)
class Artifact:
    """What the compiler made, with what it was made of."""

    abi: tuple[Mapping[str, Any], ...]
    bytecode: bytes
    deployed_bytecode: bytes
    immutable_places: Mapping[str, tuple[int, ...]]
    """Name → the byte positions in the runtime code where its 32-byte word stands (zero in the artifact)."""
    compiler: str
    source_sha256: str


@cache
def load() -> Artifact:
    """The artifact of this version."""
    text = files("flasharb.execution").joinpath("artifacts/FlashArb.json").read_bytes()
    fields = msgspec.json.decode(text)
    places = {
        name: tuple(place["start"] for place in references)
        for name, references in fields["immutable_references"].items()
    }
    return Artifact(
        abi=tuple(fields["abi"]),
        bytecode=bytes.fromhex(fields["bytecode"][2:]),
        deployed_bytecode=bytes.fromhex(fields["deployed_bytecode"][2:]),
        immutable_places=MappingProxyType(places),
        compiler=fields["compiler"]["version"],
        source_sha256=fields["source_sha256"],
    )


def creation_code(owner: Address, weth: Address, vault: Address, manager: Address = ZERO_ADDRESS) -> bytes:
    """The data of the transaction that deploys FlashArb.

    ``owner`` alone may execute and sweep, and receives what is swept; ``vault`` is the Balancer V2 vault and
    ``manager`` the Uniswap V4 pool manager, or the zero address on a chain without one.
    """
    return load().bytecode + b"".join(_word(part) for part in (owner, weth, vault, manager))


def runtime_code(owner: Address, weth: Address, vault: Address, manager: Address = ZERO_ADDRESS) -> bytes:
    """The code that stands at the contract's address once it is deployed with these arguments."""
    artifact = load()
    code = bytearray(artifact.deployed_bytecode)
    for name, value in zip(IMMUTABLES, (owner, weth, vault, manager), strict=True):
        for place in artifact.immutable_places[name]:
            code[place : place + 32] = _word(value)
    return bytes(code)


@dataclass(frozen=True, slots=True)
class Deployed:
    """The constructor's arguments, as read out of a contract's runtime code."""

    owner: Address
    weth: Address
    vault: Address
    manager: Address = ZERO_ADDRESS


def read_deployed(code: bytes) -> Deployed | str:
    """The arguments of a FlashArb whose runtime code is ``code``, or in words how it differs from the artifact."""
    artifact = load()
    expected = artifact.deployed_bytecode
    if len(code) != len(expected):
        return f"{len(code)} bytes of code, the artifact has {len(expected)}"
    values = []
    for name in IMMUTABLES:
        words = {code[place : place + 32] for place in artifact.immutable_places[name]}
        if len(words) != 1:
            return f"the places of {name} in the code hold {len(words)} different values"
        values.append(words.pop())
    if any(word[:12] != bytes(12) for word in values):
        return "an immutable is no address"
    arguments = Deployed(*(Address(word[12:]) for word in values))
    actual = runtime_code(arguments.owner, arguments.weth, arguments.vault, arguments.manager)
    if actual != code:
        first = next(index for index, pair in enumerate(zip(actual, code, strict=True)) if pair[0] != pair[1])
        return f"the code differs from the artifact, first at byte {first}"
    return arguments


def _word(value: bytes) -> bytes:
    if len(value) != 20:
        raise ValueError(f"an address has 20 bytes, not {len(value)}")
    return value.rjust(32, b"\0")
