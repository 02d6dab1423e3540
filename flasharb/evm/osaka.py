"""Osaka's changes to what code can do, on py-evm's Prague: CLZ, P256VERIFY, and the bounds and price of MODEXP.

The rest of Osaka stands where its rules stand: the cap on a transaction's gas and blobs in ``transactions``, the blob
schedule in ``forks``. The bound on a block's encoded size (EIP-7934) concerns who builds or validates whole blocks;
nothing here does.
"""

from __future__ import annotations

from typing import Any, Final

from eth import constants
from eth.exceptions import VMError
from eth.vm.forks.prague.computation import PragueComputation
from eth.vm.forks.prague.state import PragueState
from eth.vm.opcode import as_opcode

from flasharb.evm.p256 import verify

CLZ: Final = 0x1E
MODEXP_ADDRESS: Final = bytes(19) + b"\x05"
P256VERIFY_ADDRESS: Final = bytes(18) + b"\x01\x00"
_P256VERIFY_GAS: Final = 6_900
_P256VERIFY_INPUT: Final = 160
_MODEXP_LONGEST: Final = 1_024
_MODEXP_LEAST_GAS: Final = 500
_ONE: Final = bytes(31) + b"\x01"


def count_leading_zeros(word: int) -> int:
    """CLZ (EIP-7939): how many of a word's 256 bits stand before the first one."""
    return 256 - word.bit_length()


def clz(computation: Any) -> None:
    """CLZ, as an opcode function of py-evm's."""
    computation.stack_push_int(count_leading_zeros(computation.stack_pop1_int()))


def modexp(computation: Any) -> Any:
    """MODEXP with lengths of at most 1,024 bytes (EIP-7823) at the price of EIP-7883."""
    data = computation.msg.data_as_bytes
    lengths = [int.from_bytes(data[at : at + 32].ljust(32, b"\0"), "big") for at in (0, 32, 64)]
    if max(lengths) > _MODEXP_LONGEST:
        raise VMError(f"MODEXP: a length of {max(lengths)} bytes is above {_MODEXP_LONGEST}")
    base_length, exponent_length, modulus_length = lengths
    at = 96 + base_length
    head = _number(data, at, min(32, exponent_length))
    computation.consume_gas(modexp_gas(base_length, exponent_length, modulus_length, head), reason="MODEXP Precompile")
    modulus = _number(data, at + exponent_length, modulus_length)
    result = pow(_number(data, 96, base_length), _number(data, at, exponent_length), modulus) if modulus else 0
    computation.output = result.to_bytes(modulus_length, "big")
    return computation


def modexp_gas(base_length: int, exponent_length: int, modulus_length: int, exponent_head: int) -> int:
    """What MODEXP costs; ``exponent_head`` is the exponent's first 32 bytes as a number."""
    longest = max(base_length, modulus_length)
    complexity = 2 * ((longest + 7) // 8) ** 2 if longest > 32 else 16
    iterations = max(0, exponent_head.bit_length() - 1) + 16 * max(0, exponent_length - 32)
    return max(_MODEXP_LEAST_GAS, complexity * max(1, iterations))


def _number(data: bytes, at: int, size: int) -> int:
    return int.from_bytes(data[at : at + size].ljust(size, b"\0"), "big")


def p256verify(computation: Any) -> Any:
    """P256VERIFY (EIP-7951): one as a word if a signature is right, no output in every other case."""
    computation.consume_gas(_P256VERIFY_GAS, reason="P256VERIFY Precompile")
    data = computation.msg.data_as_bytes
    computation.output = b""
    if len(data) == _P256VERIFY_INPUT:
        digest, r, s, x, y = (int.from_bytes(data[at : at + 32], "big") for at in range(0, _P256VERIFY_INPUT, 32))
        if verify(digest, (r, s), (x, y)):
            computation.output = _ONE
    return computation


class OsakaComputation(PragueComputation):
    """py-evm's Prague with Osaka's instruction and precompiles."""

    opcodes = {  # noqa: RUF012 - py-evm declares it, without ClassVar
        **PragueComputation.opcodes,
        CLZ: as_opcode(logic_fn=clz, mnemonic="CLZ", gas_cost=constants.GAS_LOW),
    }
    _precompiles = {  # noqa: RUF012 - as above
        **PragueComputation.get_precompiles(),
        MODEXP_ADDRESS: modexp,
        P256VERIFY_ADDRESS: p256verify,
    }


class OsakaState(PragueState):
    """py-evm's Prague state, computing by Osaka's rules."""

    computation_class = OsakaComputation
