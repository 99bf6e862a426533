"""What a good client of the model server feels of bad ones: its latency quiet, and under each attack.

    python tests/benchmarks/serving_attacks.py [--release models/mnist/1] [--seconds 6]

The good client asks for one image at a time on a connection that it keeps, and once a second on a new one. An
attack is a process of its own on the same machine, which begins again what the server ends. Prints a Markdown
table; "longest" is the longest stall that the client saw, "MiB" the server's peak of memory meanwhile. The
times depend on what else the machine does: look at the ratios.
Without --release it exports one of random weights: the speed is the same.
"""

from __future__ import annotations

import argparse
import asyncio
import http.client
import multiprocessing
import subprocess
import sys
import tempfile
import time
import zlib
from collections.abc import Callable, Coroutine
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any

import numpy as np
import orjson
from serving_speed import (  # type: ignore[import-not-found]  # of this folder
    ENVIRONMENT,
    HERE,
    digits,
    free_port,
    running,
)

MIB = 1024 * 1024
PATH = "/v1/models/mnist:predict"
LARGEST = 32 * MIB

Attack = Callable[[int, float], Coroutine[Any, Any, None]]


def head(length: int, more: str = "") -> bytes:
    """The head of a predict request."""
    return f"POST {PATH} HTTP/1.1\r\nhost: x\r\n{more}content-length: {length}\r\n\r\n".encode()


def held_open(count: int, sent: bytes) -> Attack:
    """So many connections on each of which this comes and then nothing, begun again when they end."""

    async def hold(port: int, until: float) -> None:
        while time.monotonic() < until:
            with suppress(OSError):
                reader, writer = await asyncio.open_connection("127.0.0.1", port)
                writer.write(sent)
                with suppress(TimeoutError):
                    await asyncio.wait_for(reader.read(), until - time.monotonic())
                writer.close()
            await asyncio.sleep(0.05)

    async def attack(port: int, until: float) -> None:
        await asyncio.gather(*(hold(port, until) for _ in range(count)))

    return attack


def over_and_over(request: bytes) -> Attack:
    """One client that sends this again as soon as it is answered."""

    async def attack(port: int, until: float) -> None:
        while time.monotonic() < until:
            with suppress(OSError):
                reader, writer = await asyncio.open_connection("127.0.0.1", port)
                writer.write(request)
                await reader.readuntil(b"\r\n\r\n")
                writer.close()

    return attack


def large(element: bytes, end: bytes = b"]}") -> Attack:
    """30 MiB of this as the elements of the instances."""
    body = b'{"instances":[' + b",".join([element] * (30 * MIB // (len(element) + 1))) + end
    return over_and_over(head(len(body)) + body)


def bomb() -> Attack:
    """A small body that is a large one."""
    packer = zlib.compressobj(wbits=31)
    body = b"".join([*(packer.compress(b"[" * MIB) for _ in range(500)), packer.flush()])
    return over_and_over(head(len(body), "content-encoding: gzip\r\n") + body)


IMAGE = orjson.dumps(digits(1)[0], option=orjson.OPT_SERIALIZE_NUMPY)
UNENDED = head(LARGEST) + b" " * (LARGEST - 10)
ATTACKS: dict[str, Callable[[], Attack]] = {
    "4 uploads of 32 MiB without their end": lambda: held_open(4, UNENDED),
    "256 requests of one byte": lambda: held_open(256, head(1_000) + b"["),
    "512 idle connections": lambda: held_open(512, b""),
    "30 MiB of zeros": lambda: large(b"0"),
    "30 MiB of empty lists": lambda: large(b"[]"),
    "30 MiB of images": lambda: large(IMAGE),
    "30 MiB of named images": lambda: large(b'{"imgs":%s}' % IMAGE),
    "30 MiB of images, the last one wrong": lambda: large(IMAGE, b",3]}"),
    "500 MiB in a gzip body": bomb,
}


def run(name: str, port: int, seconds: float) -> None:
    """Attack; a process of its own."""
    attack = ATTACKS[name]()
    asyncio.run(attack(port, time.monotonic() + seconds))


def feel(port: int, seconds: float) -> tuple[list[float], int]:
    """Give the good client's seconds by request, and how many of them were refused."""
    body = orjson.dumps({"instances": digits(1)}, option=orjson.OPT_SERIALIZE_NUMPY)
    taken: list[float] = []
    refused = 0
    kept = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    until = time.monotonic() + seconds
    fresh_at = 0.0
    while time.monotonic() < until:
        if time.monotonic() > fresh_at:
            kept.close()
            fresh_at = time.monotonic() + 1.0
        started = time.perf_counter()
        try:
            kept.request("POST", PATH, body)
            answer = kept.getresponse()
            answer.read()
            refused += answer.status != 200
        except (OSError, http.client.HTTPException):
            kept.close()
            refused += 1
        taken.append(time.perf_counter() - started)
        time.sleep(0.002)
    return taken, refused


def memory_mib(pid: int, name: str) -> float:
    """A line of the process's status: VmRSS, or VmHWM for the peak since it was cleared."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(f"{name}:")) / 1024


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--release", type=Path)
    parser.add_argument("--seconds", type=float, default=6.0)
    options = parser.parse_args()
    with ExitStack() as stack:
        root = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        (root / "releases").mkdir()
        if options.release is None:
            script = HERE.parent / "serving" / "make_releases.py"
            command = [sys.executable, str(script), str(root / "releases"), "1"]
            subprocess.run(command, check=True, env=ENVIRONMENT, stderr=subprocess.DEVNULL)
        else:
            (root / "releases" / "1").symlink_to(options.release.absolute())
        (root / "channel.json").write_text('{"version": 1}')
        port = free_port()
        arguments = ["--document", str(root / "channel.json"), "--port", str(port), "--name", "mnist"]
        arguments += ["--releases", str(root / "releases")]
        server = stack.enter_context(running("Slipway", port, "-m", "tasks.serving", *arguments))
        feel(port, 1.0)  # warm-up
        print("| the others | requests | refused | p50 ms | p99 ms | times quiet | longest ms | MiB |")
        print("|---|--:|--:|--:|--:|--:|--:|--:|")
        quiet = 0.0
        for name in (None, *ATTACKS):
            Path(f"/proc/{server.pid}/clear_refs").write_text("5")
            attacker = multiprocessing.Process(target=run, args=(name, port, options.seconds + 1.0))
            if name is not None:
                attacker.start()
                time.sleep(1.0)  # until it is under way
            taken, refused = feel(port, options.seconds)
            if name is not None:
                attacker.join()
            p50, p99 = (1000 * float(np.quantile(taken, share)) for share in (0.5, 0.99))
            quiet = quiet or p99
            cells = [f"{len(taken):,}", f"{refused}", f"{p50:.2f}", f"{p99:.2f}", f"{p99 / quiet:.1f}"]
            cells += [f"{1000 * max(taken):.0f}", f"{memory_mib(server.pid, 'VmHWM'):.0f}"]
            print(f"| {name or 'quiet'} | " + " | ".join(cells) + " |", flush=True)


if __name__ == "__main__":
    main()
