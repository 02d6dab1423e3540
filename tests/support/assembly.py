"""A few lines of EVM assembly for test contracts that must be small and fast."""

from __future__ import annotations

_OPCODES = {
    name: code
    for code, name in {
        0x00: "STOP", 0x01: "ADD", 0x03: "SUB", 0x10: "LT", 0x11: "GT", 0x12: "SLT", 0x14: "EQ", 0x15: "ISZERO",
        0x1C: "SHR", 0x20: "SHA3", 0x30: "ADDRESS", 0x82: "DUP3",
        0x32: "ORIGIN", 0x33: "CALLER", 0x35: "CALLDATALOAD", 0x36: "CALLDATASIZE", 0x37: "CALLDATACOPY",
        0x3D: "RETURNDATASIZE", 0x5C: "TLOAD", 0x5D: "TSTORE",
        0x3E: "RETURNDATACOPY", 0x50: "POP", 0x51: "MLOAD", 0x52: "MSTORE", 0x54: "SLOAD", 0x55: "SSTORE",
        0x56: "JUMP", 0x57: "JUMPI", 0x5A: "GAS", 0x5B: "JUMPDEST", 0x80: "DUP1", 0x81: "DUP2", 0x90: "SWAP1",
        0xA0: "LOG0", 0xF0: "CREATE", 0xF1: "CALL", 0xF3: "RETURN", 0xFD: "REVERT",
    }.items()
}  # fmt: skip


def assemble(source: str) -> bytes:
    """Bytecode of words parted by blanks: opcodes, numbers (pushed), ``label:`` and ``@label`` (its place, pushed)."""
    words = [word for line in source.splitlines() for word in line.partition(";")[0].split()]
    places: dict[str, int] = {}
    for _ in range(2):
        code = bytearray()
        for word in words:
            if word.endswith(":"):
                places[word[:-1]] = len(code)
                code.append(_OPCODES["JUMPDEST"])
            elif word.startswith("@"):
                code += b"\x61" + places.get(word[1:], 0).to_bytes(2, "big")
            elif word in _OPCODES:
                code.append(_OPCODES[word])
            else:
                number = int(word, 0)
                raw = number.to_bytes(max(1, (number.bit_length() + 7) // 8), "big")
                code += bytes([0x5F + len(raw)]) + raw
    return bytes(code)
