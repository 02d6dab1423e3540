"""The precompiles of EIP-2537 on arkworks' BLS12-381; py-evm computes them in py_ecc, hundreds of times slower.

The prices and the order of the checks are py-evm's. Points are 64-byte coordinates whose first 16 bytes are zero;
infinity is all zeros. Addition takes any point of the curve, the others only points of the subgroup.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from eth.exceptions import VMError
from eth.precompiles.bls12_381.constants import (
    BLS12_G1_ADD_GAS,
    BLS12_G1_MSM_GAS,
    BLS12_G2_ADD_GAS,
    BLS12_G2_MSM_GAS,
    BLS12_MAP_FP2_G2_GAS,
    BLS12_MAP_FP_G1_GAS,
    G1_MSM_DISCOUNTS,
    G1_MSM_MAX_DISCOUNT,
    G2_MSM_DISCOUNTS,
    G2_MSM_MAX_DISCOUNT,
    MSM_MULTIPLIER,
)
from py_arkworks_bls12381 import GT, G1Point, G2Point, Scalar

P: Final = 0x1A0111EA397FE69A4B1BA7B6434BACD764774B84F38512BF6730D2A0F6B0F6241EABFFFEB153FFFFB9FEFFFFFFFFAAAB
_G1: Final = 128
_G2: Final = 256
_SCALAR: Final = 32
_PAIRING_GAS: Final = 37_700
_PAIR_GAS: Final = 32_600


def _packed(data: bytes) -> bytes:
    """Coordinates of 64 bytes as ones of 48."""
    parts = []
    for at in range(0, len(data), 64):
        if int.from_bytes(data[at : at + 64], "big") >= P:
            raise VMError("BLS12-381: a coordinate is not below the field's prime")
        parts.append(data[at + 16 : at + 64])
    return b"".join(parts)


def _unpacked(packed: bytes) -> bytes:
    return b"".join(bytes(16) + packed[at : at + 48] for at in range(0, len(packed), 48))


def _point(read: Callable[[bytes], Any], data: bytes) -> Any:
    packed = _packed(data)
    try:
        return read(packed)
    except ValueError as error:
        raise VMError(f"BLS12-381: {error}") from None


def _input(computation: Any, size: int, gas: int) -> bytes:
    data: bytes = computation.msg.data_as_bytes
    if len(data) != size:
        raise VMError(f"BLS12-381: {len(data)} bytes where {size} are due")
    computation.consume_gas(gas, reason="BLS12-381 Precompile")
    return data


def _adding(read: Callable[[bytes], Any], size: int, gas: int) -> Callable[[Any], None]:
    def precompile(computation: Any) -> None:
        data = _input(computation, 2 * size, gas)
        total = _point(read, data[:size]) + _point(read, data[size:])
        computation.output = _unpacked(total.to_xy_bytes_be())

    return precompile


def _count(data: bytes, size: int) -> int:
    if not data or len(data) % size:
        raise VMError(f"BLS12-381: {len(data)} bytes, not one or more times {size}")
    return len(data) // size


def _summing(curve: Any, size: int, gas: int, discounts: list[int], max_discount: int) -> Callable[[Any], None]:
    def precompile(computation: Any) -> None:
        data = computation.msg.data_as_bytes
        count = _count(data, size + _SCALAR)
        discount = discounts[count - 1] if count <= len(discounts) else max_discount
        computation.consume_gas(count * gas * discount // MSM_MULTIPLIER, reason="BLS12-381 Precompile")
        points, factors = [], []
        for at in range(0, len(data), size + _SCALAR):
            points.append(_point(curve.from_xy_bytes_be, data[at : at + size]))
            factors.append(Scalar.from_be_bytes_mod_order(data[at + size : at + size + _SCALAR]))
        computation.output = _unpacked(curve.multiexp_unchecked(points, factors).to_xy_bytes_be())

    return precompile


def _mapping(map_from: Callable[[bytes], Any], size: int, gas: int) -> Callable[[Any], None]:
    def precompile(computation: Any) -> None:
        packed = _packed(_input(computation, size, gas))
        computation.output = _unpacked(map_from(packed).to_xy_bytes_be())

    return precompile


def pairing_check(computation: Any) -> None:
    """One as a word if the product of the pairings is one, otherwise zero."""
    data = computation.msg.data_as_bytes
    count = _count(data, _G1 + _G2)
    computation.consume_gas(_PAIR_GAS * count + _PAIRING_GAS, reason="BLS12-381 Precompile")
    first, second = [], []
    for at in range(0, len(data), _G1 + _G2):
        first.append(_point(G1Point.from_xy_bytes_be, data[at : at + _G1]))
        second.append(_point(G2Point.from_xy_bytes_be, data[at + _G1 : at + _G1 + _G2]))
    computation.output = bytes(31) + bytes([GT.pairing_check(first, second)])


PRECOMPILES: Final[dict[bytes, Callable[[Any], None]]] = {
    bytes(19) + bytes([number]): function
    for number, function in (
        (0x0B, _adding(G1Point.from_xy_bytes_unchecked_be, _G1, BLS12_G1_ADD_GAS)),
        (0x0C, _summing(G1Point, _G1, BLS12_G1_MSM_GAS, G1_MSM_DISCOUNTS, G1_MSM_MAX_DISCOUNT)),
        (0x0D, _adding(G2Point.from_xy_bytes_unchecked_be, _G2, BLS12_G2_ADD_GAS)),
        (0x0E, _summing(G2Point, _G2, BLS12_G2_MSM_GAS, G2_MSM_DISCOUNTS, G2_MSM_MAX_DISCOUNT)),
        (0x0F, pairing_check),
        (0x10, _mapping(G1Point.map_from_fp_be, 64, BLS12_MAP_FP_G1_GAS)),
        (0x11, _mapping(G2Point.map_from_fp2_be, 128, BLS12_MAP_FP2_G2_GAS)),
    )
}
