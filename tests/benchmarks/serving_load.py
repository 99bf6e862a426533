"""Load for serving_speed.py: clients that each ask again as soon as they are answered; prints JSON."""

from __future__ import annotations

import argparse
import asyncio
import json
import time
from pathlib import Path


class Asker(asyncio.Protocol):
    """One client on one connection: sends the same request over and over and notes how long each takes."""

    def __init__(self, request: bytes, until: float, done: asyncio.Future[None]) -> None:
        self.request = request
        self.until = until
        self.done = done
        self.seconds: list[float] = []
        self.answer = b""

    def itself(self) -> Asker:
        """Give this protocol to a connection."""
        return self

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport
        self.ask()

    def ask(self) -> None:
        self.asked = time.perf_counter()
        self.transport.write(self.request)

    def data_received(self, data: bytes) -> None:
        self.answer += data
        head, separator, body = self.answer.partition(b"\r\n\r\n")
        if not separator:
            return
        length = int(head.lower().partition(b"content-length:")[2].partition(b"\r\n")[0])
        if len(body) < length:
            return
        if not head.startswith(b"HTTP/1.1 200"):
            self.done.set_exception(RuntimeError(self.answer.decode(errors="replace")[:500]))
            self.transport.close()
            return
        now = time.perf_counter()
        self.seconds.append(now - self.asked)
        self.answer = b""
        if now < self.until:
            self.ask()
        else:
            self.transport.close()
            self.done.set_result(None)

    def connection_lost(self, error: Exception | None) -> None:
        if not self.done.done():
            self.done.set_exception(error or ConnectionError("the server closed the connection"))


async def load(port: int, body: bytes, clients: int, seconds: float) -> list[float]:
    """Give the seconds of every request of all clients."""
    loop = asyncio.get_running_loop()
    head = (
        f"POST /v1/models/mnist:predict HTTP/1.1\r\nhost: 127.0.0.1:{port}\r\n"
        f"content-type: application/json\r\ncontent-length: {len(body)}\r\n\r\n"
    )
    until = time.perf_counter() + seconds
    askers = [Asker(head.encode() + body, until, loop.create_future()) for _ in range(clients)]
    for asker in askers:
        await loop.create_connection(asker.itself, "127.0.0.1", port)
    await asyncio.gather(*(asker.done for asker in askers))
    return [second for asker in askers for second in asker.seconds]


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("port", type=int)
    parser.add_argument("body", type=Path)
    parser.add_argument("--clients", type=int, default=8)
    parser.add_argument("--seconds", type=float, default=4.0)
    options = parser.parse_args()
    started = time.perf_counter()
    taken = asyncio.run(load(options.port, options.body.read_bytes(), options.clients, options.seconds))
    print(json.dumps({"seconds": time.perf_counter() - started, "taken": taken}))
