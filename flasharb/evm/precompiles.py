"""Precompiles in place of py-evm's: faster, or exact where py-evm's are not; the same gas, answers and failures.

ECRECOVER calls libsecp256k1 without eth_keys around it, the BN254 and BLS12-381 curves are ``bn254`` and ``bls12_381``,
the KZG setup is loaded once per process instead of once per call (0.4 s each), and MODEXP of an empty base to the power
of zero is one. SHA-256, RIPEMD-160, identity and BLAKE2 stay py-evm's.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from functools import cache
from typing import Any, Final

from ckzg import load_trusted_setup, verify_kzg_proof
from eth import constants
from eth.exceptions import VMError
from eth.precompiles.modexp import extract_lengths
from eth.precompiles.point_evaluation import TRUSTED_SETUP_PATH
from eth.vm.forks.cancun.constants import (
    BLS_MODULUS,
    FIELD_ELEMENTS_PER_BLOB,
    POINT_EVALUATION_PRECOMPILE_GAS,
    VERSIONED_HASH_VERSION_KZG,
)
from eth.vm.forks.istanbul.constants import (
    GAS_ECADD,
    GAS_ECMUL,
    GAS_ECPAIRING_BASE,
    GAS_ECPAIRING_PER_POINT,
)

from flasharb.evm import bls12_381, bn254, osaka
from flasharb.evm.osaka import MODEXP_ADDRESS
from flasharb.evm.transactions import recovered

_POINT_EVALUATION_OUTPUT: Final = FIELD_ELEMENTS_PER_BLOB.to_bytes(32, "big") + BLS_MODULUS.to_bytes(32, "big")
_PAIR: Final = 192

Precompile = Callable[[Any], Any]


def precompiles_of(computation_class: Any) -> dict[bytes, Precompile]:
    """The precompiles of a py-evm computation class, with ours in their places."""
    theirs: dict[bytes, Precompile] = computation_class.get_precompiles()
    found = {address: _OURS.get(address, function) for address, function in theirs.items()}
    modexp = theirs[MODEXP_ADDRESS]
    if modexp is not osaka.modexp:
        found[MODEXP_ADDRESS] = exact_modexp(modexp)
    return found


def _words(data: bytes, count: int) -> list[int]:
    """The first words of the input, which is taken to go on with zeros."""
    data = data[: 32 * count].ljust(32 * count, b"\0")
    return [int.from_bytes(data[at : at + 32], "big") for at in range(0, 32 * count, 32)]


def ecrecover(computation: Any) -> None:
    """The address that signed, as a word; no output for what is no signature."""
    computation.consume_gas(constants.GAS_ECRECOVER, reason="ECRecover Precompile")
    data = computation.msg.data_as_bytes
    _, v, r, s = _words(data, 4)
    address = recovered(data[:32].ljust(32, b"\0"), v - 27, r, s)
    if address is not None:
        computation.output = bytes(12) + address


def bn254_add(computation: Any) -> None:
    """EIP-196's addition."""
    computation.consume_gas(GAS_ECADD, reason="ECADD Precompile")
    ax, ay, bx, by = _words(computation.msg.data_as_bytes, 4)
    try:
        x, y = bn254.add(bn254.check_g1(ax, ay), bn254.check_g1(bx, by))
    except bn254.NoPoint as error:
        raise VMError(f"ECADD: {error}") from None
    computation.output = x.to_bytes(32, "big") + y.to_bytes(32, "big")


def bn254_multiply(computation: Any) -> None:
    """EIP-196's multiplication."""
    computation.consume_gas(GAS_ECMUL, reason="ECMUL Precompile")
    px, py, times = _words(computation.msg.data_as_bytes, 3)
    try:
        x, y = bn254.multiply(bn254.check_g1(px, py), times)
    except bn254.NoPoint as error:
        raise VMError(f"ECMUL: {error}") from None
    computation.output = x.to_bytes(32, "big") + y.to_bytes(32, "big")


def bn254_pairing(computation: Any) -> None:
    """EIP-197's pairing check: one as a word if the product of the pairings is one, otherwise zero."""
    data = computation.msg.data_as_bytes
    if len(data) % _PAIR:
        raise VMError(f"ECPAIRING: {len(data)} bytes are no pairs of points")
    gas = GAS_ECPAIRING_BASE + len(data) // _PAIR * GAS_ECPAIRING_PER_POINT
    computation.consume_gas(gas, reason="ECPAIRING Precompile")
    points = []
    try:
        for at in range(0, len(data), _PAIR):
            # Imaginary parts come first.
            px, py, x1, x0, y1, y0 = _words(data[at : at + _PAIR], 6)
            points.append((bn254.check_g1(px, py), bn254.check_g2((x0, x1), (y0, y1))))
    except bn254.NoPoint as error:
        raise VMError(f"ECPAIRING: {error}") from None
    computation.output = bytes(31) + bytes([bn254.pairing_is_one(points)])


@cache
def _trusted_setup() -> Any:
    return load_trusted_setup(TRUSTED_SETUP_PATH, 0)


def point_evaluation(computation: Any) -> None:
    """EIP-4844's precompile: the blob behind a versioned hash has value y at z."""
    computation.consume_gas(POINT_EVALUATION_PRECOMPILE_GAS, reason="Point Evaluation Precompile")
    data = computation.msg.data_as_bytes
    if len(data) != 192:
        raise VMError("Point evaluation invalid input length.")
    versioned_hash, z, y, commitment, proof = data[:32], data[32:64], data[64:96], data[96:144], data[144:192]
    if VERSIONED_HASH_VERSION_KZG + hashlib.sha256(commitment).digest()[1:] != versioned_hash:
        raise VMError("Point evaluation commitment does not match versioned hash.")
    try:
        proven = verify_kzg_proof(commitment, z, y, proof, _trusted_setup())
    except RuntimeError:
        # How ckzg says that the bytes are no points of the curve.
        proven = False
    if not proven:
        raise VMError("Point evaluation KZG proof verification failed.")
    computation.output = _POINT_EVALUATION_OUTPUT


def exact_modexp(original: Precompile) -> Precompile:
    """py-evm's MODEXP, corrected for an empty base with a zero exponent."""

    def precompile(computation: Any) -> Any:
        original(computation)
        data = computation.msg.data_as_bytes
        base_length, exponent_length, modulus_length = extract_lengths(data)
        if base_length == 0 and modulus_length and not any(data[96 : 96 + exponent_length]):
            modulus = data[96 + exponent_length :][:modulus_length].ljust(modulus_length, b"\0")
            computation.output = int(int.from_bytes(modulus, "big") > 1).to_bytes(modulus_length, "big")
        return computation

    return precompile


_OURS: Final[dict[bytes, Precompile]] = {
    bytes(19) + b"\x01": ecrecover,
    bytes(19) + b"\x06": bn254_add,
    bytes(19) + b"\x07": bn254_multiply,
    bytes(19) + b"\x08": bn254_pairing,
    bytes(19) + b"\x0a": point_evaluation,
    **bls12_381.PRECOMPILES,
}
