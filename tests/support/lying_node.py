"""A node that lies: everything goes to an honest one, and what it answers may be changed on the way back."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import httpx
import trio

Lie = Callable[[str, list[Any], Any], Any]
"""(method, parameters, honest result) → what is told."""


def honest(method: str, params: list[Any], result: Any) -> Any:
    return result


class Liar:
    """Where it listens, what it lies, the methods that it does not have, and those that it was asked for."""

    def __init__(self, honest_url: str) -> None:
        self.url = ""
        self.lie: Lie = honest
        self.refused: set[str] = set()
        self.asked: list[str] = []
        self._honest_url = honest_url

    async def serve(self, client: httpx.AsyncClient, stream: trio.SocketStream) -> None:
        data = b""
        async for part in stream:
            data += part
            head, separator, body = data.partition(b"\r\n\r\n")
            if not separator or len(body) < int(head.lower().split(b"content-length:")[1].split(b"\r\n")[0]):
                continue
            data = b""
            answer = json.dumps(await self._answer(client, json.loads(body))).encode()
            length = str(len(answer)).encode()
            await stream.send_all(
                b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: " + length + b"\r\n\r\n" + answer
            )

    async def _answer(self, client: httpx.AsyncClient, asked: Any) -> Any:
        replies = (await client.post(self._honest_url, json=asked)).json()
        requests = {request["id"]: request for request in (asked if isinstance(asked, list) else [asked])}
        for reply in replies if isinstance(replies, list) else [replies]:
            request = requests[reply["id"]]
            self.asked.append(request["method"])
            if request["method"] in self.refused:
                reply.pop("result", None)
                reply["error"] = {"code": -32601, "message": "the method does not exist"}
            if "result" in reply:
                reply["result"] = self.lie(request["method"], request["params"], reply["result"])
        return replies


@asynccontextmanager
async def lying_node(honest_url: str) -> AsyncIterator[Liar]:
    """A liar on loopback in front of the node at ``honest_url``."""
    liar = Liar(honest_url)
    async with httpx.AsyncClient(timeout=60, trust_env=False) as client, trio.open_nursery() as nursery:
        listeners = await nursery.start(trio.serve_tcp, lambda stream: liar.serve(client, stream), 0)
        liar.url = f"http://127.0.0.1:{listeners[0].socket.getsockname()[1]}"
        yield liar
        nursery.cancel_scope.cancel()
