"""py-evm's computation, with the few things changed that cost dearly or are not as on the chain.

* SHA3 notes 64-byte inputs in ``state.preimages``, which is how a source learns whose mapping slot it is asked for.
* SELFDESTRUCT loses the wrapper that issues a Python warning at every execution.
* The KZG trusted setup is loaded once per process instead of once per call (0.4 s each).
* The initcode charge is taken once: py-evm takes it again for a CREATE of a delegating (EIP-7702) transaction sender.
* MODEXP of an empty base to the power of zero is one, where py-evm says zero.
* Jump destinations are found once per code, not once per call frame.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from functools import cache
from typing import Any, ClassVar, Final

from ckzg import load_trusted_setup, verify_kzg_proof
from eth import constants
from eth._utils.numeric import ceil32
from eth.exceptions import VMError
from eth.precompiles.modexp import extract_lengths
from eth.precompiles.point_evaluation import TRUSTED_SETUP_PATH
from eth.vm import mnemonics, opcode_values
from eth.vm.forks.cancun.constants import (
    BLS_MODULUS,
    FIELD_ELEMENTS_PER_BLOB,
    POINT_EVALUATION_PRECOMPILE_GAS,
    VERSIONED_HASH_VERSION_KZG,
)
from eth.vm.opcode import as_opcode
from eth_hash.auto import keccak

from flasharb.evm import osaka
from flasharb.evm.osaka import MODEXP_ADDRESS

POINT_EVALUATION_ADDRESS: Final = bytes(19) + b"\x0a"
_POINT_EVALUATION_OUTPUT: Final = FIELD_ELEMENTS_PER_BLOB.to_bytes(32, "big") + BLS_MODULUS.to_bytes(32, "big")
_MAX_KNOWN_CODES: Final = 4096


def noting_sha3(computation: Any) -> None:
    """SHA3 that keeps the preimages of mapping slots."""
    start_position, size = computation.stack_pop_ints(2)
    computation.extend_memory(start_position, size)
    data = computation.memory_read_bytes(start_position, size)
    computation.consume_gas(constants.GAS_SHA3WORD * (ceil32(size) // 32), reason="SHA3: word gas cost")
    digest = keccak(data)
    if size == 64:
        preimages = computation.state.preimages
        if preimages is not None:
            preimages[int.from_bytes(digest, "big")] = bytes(data)
    computation.stack_push_bytes(digest)


_NOTING_SHA3: Final = as_opcode(logic_fn=noting_sha3, mnemonic=mnemonics.SHA3, gas_cost=constants.GAS_SHA3)


def opcodes_of(computation_class: Any) -> dict[int, Any]:
    """The opcodes of a py-evm computation class, with the noting SHA3 and without warnings."""
    opcodes = {code: getattr(function, "__wrapped__", function) for code, function in computation_class.opcodes.items()}
    opcodes[opcode_values.SHA3] = _NOTING_SHA3
    return opcodes


@cache
def _trusted_setup() -> Any:
    return load_trusted_setup(TRUSTED_SETUP_PATH, 0)


def point_evaluation(computation: Any) -> Any:
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
    return computation


def exact_modexp(original: Callable[[Any], Any]) -> Callable[[Any], Any]:
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


def _exact(address: bytes, function: Callable[[Any], Any]) -> Callable[[Any], Any]:
    if address == POINT_EVALUATION_ADDRESS:
        return point_evaluation
    return exact_modexp(function) if address == MODEXP_ADDRESS and function is not osaka.modexp else function


_positions: Final[dict[bytes, tuple[set[int], set[int]]]] = {}


def _known_positions(code: bytes) -> tuple[set[int], set[int]]:
    """The code positions found to be instructions, and those found to be push data, shared by all frames."""
    known = _positions.get(code)
    if known is None:
        if len(_positions) >= _MAX_KNOWN_CODES:
            _positions.clear()
        known = _positions[code] = (set(), set())
    return known


def lean(base: Any) -> Any:
    """The computation class ``base`` with cheap and safe savings."""

    class Lean(base):  # type: ignore[misc]  # one class per fork, made from py-evm's
        opcodes = opcodes_of(base)
        _precompiles: ClassVar[dict[bytes, Callable[[Any], Any]]] = {
            address: _exact(address, function) for address, function in base.get_precompiles().items()
        }

        def __init__(self, state: Any, message: Any, transaction_context: Any) -> None:
            super().__init__(state, message, transaction_context)
            stack = self._stack
            # py-evm's cached properties look for coroutines at every first access.
            self.stack_pop_ints = stack.pop_ints
            self.stack_pop_bytes = stack.pop_bytes
            self.stack_pop_any = stack.pop_any
            self.stack_pop1_int = stack.pop1_int
            self.stack_pop1_bytes = stack.pop1_bytes
            self.stack_pop1_any = stack.pop1_any
            self.stack_push_int = stack.push_int
            self.stack_push_bytes = stack.push_bytes
            if not message.is_create:
                self.code.valid_positions, self.code.invalid_positions = _known_positions(message.code)

        @classmethod
        def consume_initcode_gas_cost(cls, computation: Any) -> None:
            if computation.msg.depth == 0:
                super().consume_initcode_gas_cost(computation)

    Lean.__name__ = Lean.__qualname__ = f"Lean{base.__name__}"
    return Lean


def plain(base: Any) -> Any:
    """The computation class ``base`` as py-evm has it; only its SHA3 notes preimages and its warnings are off."""
    return type(f"Plain{base.__name__}", (base,), {"opcodes": opcodes_of(base)})
