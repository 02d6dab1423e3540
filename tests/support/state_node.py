"""A node over a world in memory."""

from __future__ import annotations

from typing import Any

from flasharb.adapters.node import Node
from flasharb.evm import DictState
from flasharb.units import hex0x


class StateNode(Node):
    """A node over a world in memory."""

    def __init__(self, state: DictState) -> None:
        super().__init__("state node", 10.0, 1000)
        self._state = state

    async def _exchange(self, requests: list[dict[str, Any]], what: str) -> dict[int, Any]:
        return {one["id"]: {"id": one["id"], "result": self._answer(one)} for one in requests}

    def _answer(self, request: dict[str, Any]) -> str:
        at = bytes.fromhex(request["params"][0][2:])
        account = self._state.account(at)
        match request["method"]:
            case "eth_getBalance":
                return hex(account.balance if account else 0)
            case "eth_getTransactionCount":
                return hex(account.nonce if account else 0)
            case "eth_getCode":
                return hex0x(self._state.code(account.code_hash) if account else b"")
        assert request["method"] == "eth_getStorageAt", request
        return f"{self._state.storage(at, int(request['params'][1], 16)):#066x}"
