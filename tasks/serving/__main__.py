"""`python -m tasks.serving`: reconciles what it serves with a channel's document until it is stopped."""

from __future__ import annotations

import argparse
import asyncio
import logging
import os
import signal
import sys
from collections.abc import Sequence
from functools import partial
from pathlib import Path

from settings.errors import SlipwayError, Surroundings
from tasks.release.document import place_id
from tasks.serving import handover
from tasks.serving.app import Identity, make_app
from tasks.serving.keeper import Keeper
from tasks.serving.server import RECEIVE_SECONDS, bind, make_server, resolve
from tasks.store.token import TokenFile

logger = logging.getLogger("tasks.serving")

SWITCH_SECONDS = 0.0005
PATIENCE_SECONDS = 5.0  # for a version that is not there yet, before a replacement gives up
TAKEOVER_SECONDS = 15.0  # a server that hands nothing over closes its port at once, however long it drains


def main(arguments: Sequence[str] | None = None) -> int:
    """Serve; give the exit code."""
    options = parser().parse_args(arguments)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s", stream=sys.stderr)
    # A client can cause each of uvicorn's lines: bad requests must not fill the disk.
    logging.getLogger("uvicorn.error").setLevel(logging.ERROR)
    # The event loop waits so long for the interpreter's lock whenever the thread of large requests has it.
    sys.setswitchinterval(SWITCH_SECONDS)
    try:
        asyncio.run(serve(options))
    except SlipwayError as error:
        logger.error("%s", error)
        return error.exit_code
    return 0


def parser() -> argparse.ArgumentParser:
    """Give the parser of the command line."""
    parser = argparse.ArgumentParser("python -m tasks.serving", description=__doc__)
    parser.add_argument("--document", type=Path, required=True, help="the channel's document, watched")
    parser.add_argument("--releases", type=Path, required=True, help="folder of the promoted versions")
    parser.add_argument("--candidates", type=Path, help="folder of versions that are not promoted")
    parser.add_argument("--name", required=True, help="name of the model in the addresses")
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on (default: %(default)s)")
    parser.add_argument("--port", type=int, required=True, help="port to listen on")
    parser.add_argument("--threads", type=int, default=1, help="threads per answer (default: %(default)s)")
    parser.add_argument(
        "--token-file",
        type=Path,
        help="ask for the token in this file, which may change (not for health and metrics)",
    )
    parser.add_argument(
        "--receive-seconds",
        type=float,
        default=RECEIVE_SECONDS,
        help="a request that takes longer to arrive is cut off (default: %(default)s)",
    )
    parser.add_argument("--start", default="", help="an id of this start, told by health")
    parser.add_argument(
        "--replaces", type=int, help="pid of the server to take the port over from, once warm"
    )
    return parser


async def serve(options: argparse.Namespace) -> None:
    """Serve until SIGTERM or SIGINT."""
    roots = [root.absolute() for root in (options.releases, options.candidates) if root is not None]
    keeper = Keeper(options.document.absolute(), roots, threads=options.threads)
    identity = Identity(options.name, place_id(keeper.document), options.start)
    token = TokenFile(options.token_file.absolute()) if options.token_file is not None else None
    server = make_server(make_app(keeper, identity, token=token))
    place = await resolve(options.host, options.port)
    listener = None
    if options.replaces is not None:
        await keeper.settle(patience_seconds=PATIENCE_SECONDS)
        if keeper.error:
            raise Surroundings(keeper.error)
        listener = handover.take(options.replaces, place.address[:2])
        if listener is not None:
            server.when_listening = partial(_end, options.replaces)
        else:  # connections are refused from here until the port is bound
            _end(options.replaces)
    if listener is None:
        patience = TAKEOVER_SECONDS if options.replaces is not None else 0.0
        listener = await bind(place, patience_seconds=patience)
    logger.info("listening on %s:%d, process %d", options.host, options.port, os.getpid())
    helpers = [
        asyncio.create_task(keeper.watch()),
        asyncio.create_task(server.sweep(options.receive_seconds)),
        asyncio.create_task(handover.offer(listener)),
    ]
    await server.serve(sockets=[listener])
    for helper in helpers:
        helper.cancel()
    await asyncio.gather(*helpers, return_exceptions=True)
    logger.info("ended after %d requests", server.server_state.total_requests)


def _end(pid: int) -> None:
    try:
        os.kill(pid, signal.SIGTERM)
    except ProcessLookupError:
        logger.info("process %d, to be replaced, has ended already", pid)


if __name__ == "__main__":
    sys.exit(main())
