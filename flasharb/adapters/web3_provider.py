"""AsyncWeb3 on one of our node connections, for where web3's formatting helps (receipts, contract calls)."""

from __future__ import annotations

from typing import Any, cast

from web3 import AsyncWeb3
from web3.providers.async_base import AsyncJSONBaseProvider
from web3.types import RPCEndpoint, RPCResponse

from flasharb.adapters.node import Node, RpcError


class FlasharbProvider(AsyncJSONBaseProvider):
    """A web3 provider that speaks through ``adapters.node.Node``: web3 itself would need asyncio for its own."""

    def __init__(self, node: Node) -> None:
        super().__init__()
        self._node = node

    async def make_request(self, method: RPCEndpoint, params: Any) -> RPCResponse:
        """One call; a node's error reply is web3's to raise, a node that does not answer is a ``NodeError``."""
        plain = [_plain(item) for item in params]
        try:
            answer: dict[str, Any] = {"result": await self._node.call(method, *plain)}
        except RpcError as error:
            failure = error.failure
            answer = {"error": {"code": failure.code, "message": failure.message, "data": failure.data}}
        return cast("RPCResponse", {"jsonrpc": "2.0", "id": 1, **answer})

    async def is_connected(self, show_traceback: bool = False) -> bool:
        """The connection is open for as long as its ``open_node`` block runs."""
        return True


def web3_on(node: Node) -> AsyncWeb3[FlasharbProvider]:
    """AsyncWeb3 over this node."""
    return AsyncWeb3(FlasharbProvider(node))


def _plain(value: Any) -> Any:
    """web3's parameters as JSON has them: bytes become 0x strings, its read-only dictionaries plain ones."""
    if isinstance(value, bytes):
        return "0x" + value.hex()
    if isinstance(value, dict) or hasattr(value, "items"):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    return value
