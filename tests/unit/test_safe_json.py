"""Depth is an error of the document, never the end of the process."""

from __future__ import annotations

import subprocess
import sys

import msgspec
import pytest

from flasharb.safe_json import decode_json

# With py-evm imported, Python's own recursion limit no longer protects the decoder's C stack.
HOSTILE = """
import eth.vm.forks.prague
from flasharb.adapters.node import _parse
from flasharb.errors import NodeError
from flasharb.execution.replies import classify
from flasharb.units import Hash32

body = b"[" * 1_000_000
try:
    _parse(body, "http://node", "eth_call")
except NodeError as error:
    print("node:", type(error).__name__)
print("relay:", type(classify(200, {}, body, Hash32(bytes(32)), 1)).__name__)
"""


def test_a_value_is_decoded() -> None:
    assert decode_json('{"a": [1, null]}') == {"a": [1, None]}


def test_what_is_no_json_says_so() -> None:
    with pytest.raises(msgspec.DecodeError):
        decode_json(b"<html>")


def test_a_million_brackets_from_node_or_relay_are_a_bad_reply() -> None:
    """In a process of its own, because the fault would end it."""
    done = subprocess.run([sys.executable, "-c", HOSTILE], capture_output=True, text=True, check=False)

    assert done.stdout.splitlines() == ["node: NodeError", "relay: Unknown"], done.stderr
