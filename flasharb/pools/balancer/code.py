"""Which pool a contract is, and what is fixed about it, from its code.

Solidity writes a contract's immutables into its code, as the operand of a ``PUSH32`` at every place where they are
used. With these operands set to zero the code of all pools of one version is the same and has one hash; which of the
operands are immutables is one number a version, a bit for each ``PUSH32`` of the code. What a pool is made of can then
be read from the operands, and a contract that only looks like a pool has another hash.

The table is made from the creation codes of Balancer's own deployments, which hold the same code with the zeros still
in it (a test does the same again). The fourth deployments of weighted and stable pools have the code of the third, the
sixth of stable pools that of the fifth, but for the hash of its metadata.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from eth_hash.auto import keccak

from flasharb.pools.balancer.facts import WeightedFacts, WeightedKind, pool_address
from flasharb.pools.balancer.log_exp import ONE
from flasharb.pools.balancer.stable_facts import StableFacts, StableKind
from flasharb.units import Address, Hash32, address, checksum

VAULT: Final = address("0xBA12222222228d8Ba445958a75a0704d566BF2C8")
"""The Vault, at the same address on every chain that Balancer itself deployed it on."""

_PUSH1: Final = 0x60
_PUSH32: Final = 0x7F


@dataclass(frozen=True, slots=True)
class Template:
    """One version's code. Numbers count the ``PUSH32`` of the code; token k's operand stands at start + k * step.

    ``rates``: the operand whose lower six bits say which tokens' yield is exempt and the next six which have a rate.
    A pool of two tokens has no ``count``.
    """

    kind: WeightedKind | StableKind
    code_hash: str
    immutables: int
    pool_id: int
    vault: int
    pausable_until: int
    count: int | None
    tokens: tuple[int, int]
    scaling: tuple[int, int]
    weights: tuple[int, int] | None = None
    rates: int | None = None


TEMPLATES: Final = (
    Template(
        "weighted_v1",
        "696f9b221fc9388165e0991d4f995ab3630af2916f8fc61550c1c9a0c8196259",
        0xFFFFEFFFFFF7FDD9F,
        0, 3, 8, 14, (24, 2), (15, 1), (40, 1),
    ),
    Template(
        "weighted_2tokens_v1",
        "19cf36f8a15fd191490573bd0fb546d3ea5b31829eb8323d1c0fa41672ceebd9",
        0xEFE733F,
        0, 3, 9, None, (4, 0), (18, -1), (20, -1),
    ),
    Template(
        "weighted_v2",
        "c19d4094b735195e60a965368dfc3a9f04f881f9f50ceb332814c35c30c79983",
        0x3FFFFFE7FFFFFF000E03FFFF,
        12, 16, 26, 27, (48, 1), (59, 1), (40, 1),
    ),
    Template(
        "weighted_v3",
        "d6a6ab8441ac87e6b785ecaa15f3d19ff2f8a4122cddd46582b08d47eb6c2de6",
        0x3FFFFFEFFFFFFE1C3FFFF,
        12, 16, 23, 24, (37, 1), (48, 1), (29, 1),
    ),
    Template(
        "stable_v1",
        "33e57872fbf0f9ea24b7fb4e211e44c64e51ad9dab7ab924676da5c8670309bf",
        0x1C7FD0007EFF027FF,
        4, 9, 21, 13, (29, 1), (53, 1), rates=48,
    ),
    Template(
        "stable_v2",
        "3ce73da73eaa9c17468b8ebef50a29330f8b25fc9b673d790d7721e826e1b461",
        0x1C7FD0007EFF027FF,
        4, 9, 21, 13, (29, 1), (53, 1), rates=48,
    ),
    Template(
        "stable_v3",
        "d70369a238f9cb3019e503b98a41e1309d4fbbb3081d547180406c4fa982a48f",
        0x1CFFA0FDFE27FF,
        4, 9, 18, 13, (26, 1), (42, 1), rates=37,
    ),
    *(
        Template(
            "stable_v5",
            code_hash,
            0x3FE83F7F89FFF,
            4, 10, 20, 15, (28, 1), (44, 1), rates=39,
        )
        for code_hash in (
            "55ceaf841ab51cbf50de5347cb56a0e93e2d2db66b8d021cb63d04732ff05154",
            "d0d5bc738d9e6804a3e924f4aa4304c298f9e51770419b21d892cb1580c55fc8",
        )
    ),
)  # fmt: skip
_VAULT_CODE: Final = "8c3a27affc34515d3bdc6aad1704ed61dd202b0520820a8797a49124ebf04f14"
_VAULT_IMMUTABLES: Final = 0x7300C1
_VAULT_PAUSABLE_UNTIL: Final = 17
_OLDEST: Final = ("weighted_v1", "weighted_2tokens_v1")
"""Their scaling factors are plain powers of ten; later ones have 18 decimals more."""
# what constructors make sure of; a contract of the same code may have been put there without one
_SCALINGS: Final = frozenset(10**digits for digits in range(19))
_LEAST_WEIGHT: Final = 10**16


def recognise(code: bytes, tokens: tuple[Address, ...], vault: Address = VAULT) -> WeightedFacts | StableFacts | str:
    """The facts of the pool with this code, or why it is not one that is modelled.

    ``tokens`` are what the pool is said to hold, in its order, a stable pool's own token among them.
    """
    places = _operands(code)
    template = _template(code, places)
    if template is None:
        return "the code is none of the pools that are modelled"
    return _facts(template, [code[at : at + 32] for at in places], tokens, vault)


def tokens_of(code: bytes) -> tuple[Address, ...] | None:
    """The tokens of the pool with this code, in its order; None: it does not tell (not modelled, or of two tokens)."""
    places = _operands(code)
    template = _template(code, places)
    if template is None or template.count is None:
        return None
    count = int.from_bytes(code[places[template.count] :][:32], "big")
    if count > _most(template):
        return None
    return tuple(Address(code[places[n] + 12 :][:20]) for n in _places(template.tokens, count))


def _template(code: bytes, places: list[int]) -> Template | None:
    """The version that the code is of."""
    for template in TEMPLATES:
        if template.immutables < 1 << len(places) and _hash(code, places, template.immutables) == template.code_hash:
            return template
    return None


def vault_pausable_until(code: bytes) -> int | None:
    """The time (seconds) after which no pause of the Vault with this code holds; None: the code is not the Vault's."""
    places = _operands(code)
    if _VAULT_IMMUTABLES >> len(places) or _hash(code, places, _VAULT_IMMUTABLES) != _VAULT_CODE:
        return None
    at = places[_VAULT_PAUSABLE_UNTIL]
    return int.from_bytes(code[at : at + 32], "big")


def _operands(code: bytes) -> list[int]:
    """Where the operands of ``PUSH32`` begin."""
    found, at = [], 0
    while at < len(code):
        opcode = code[at]
        if opcode == _PUSH32:
            found.append(at + 1)
        at += opcode - _PUSH1 + 2 if _PUSH1 <= opcode <= _PUSH32 else 1
    return found


def _hash(code: bytes, places: list[int], immutables: int) -> str:
    blank = bytearray(code)
    for n, at in enumerate(places):
        if immutables >> n & 1:
            blank[at : at + 32] = bytes(32)
    return keccak(bytes(blank)).hex()


def _facts(
    template: Template, operands: list[bytes], tokens: tuple[Address, ...], vault: Address
) -> WeightedFacts | StableFacts | str:
    numbers = [int.from_bytes(operand, "big") for operand in operands]
    count = 2 if template.count is None else numbers[template.count]
    if operands[template.vault][12:] != vault:
        return f"the pool belongs to another Vault, {checksum(operands[template.vault][12:])}"
    if count > _most(template):
        return f"a pool of {count} tokens is more than is modelled"
    # the code of a pool of two tokens knows the first one only; its Vault keeps balances by both
    held = [operands[n][12:] for n in _places(template.tokens, 1 if template.count is None else count)]
    if len(tokens) != count or held != list(tokens[: len(held)]):
        return f"the pool holds {', '.join(map(checksum, held))} and not the tokens that it is said to"
    unit = 1 if template.kind in _OLDEST else ONE
    scaling = tuple(numbers[n] // unit for n in _places(template.scaling, count))
    if not _SCALINGS.issuperset(scaling):
        return f"its scaling factors {scaling} are none of tokens with up to 18 decimals"
    pool_id, until = Hash32(operands[template.pool_id]), numbers[template.pausable_until]
    if template.weights is not None:
        weights = tuple(numbers[n] for n in _places(template.weights, count))
        if count < 2 or min(weights) < _LEAST_WEIGHT or sum(weights) != ONE:
            return f"no pool has the weights {weights}"
        return WeightedFacts(vault, pool_id, template.kind, scaling, weights, until)  # type: ignore[arg-type]
    assert template.rates is not None
    if count < 3 or pool_address(pool_id) not in tokens:
        return "it does not hold its own token beside two others"
    flags, bpt = numbers[template.rates], tokens.index(pool_address(pool_id))
    has_rate, exempt = (tuple(bool(flags >> start + k & 1) for k in range(count)) for start in (6, 0))
    return StableFacts(vault, pool_id, template.kind, bpt, scaling, has_rate, exempt, until)  # type: ignore[arg-type]


def _most(template: Template) -> int:
    """Weighted pools keep eight tokens in the operands that are read here (later ones may have more)."""
    return 8 if template.weights is not None else 6


def _places(run: tuple[int, int], count: int) -> list[int]:
    start, step = run
    return [start + k * step for k in range(count)]
