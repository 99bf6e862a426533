"""The routes: predict, status, metadata, health and metrics, each answer with the version that gave it."""

from __future__ import annotations

import logging
import time
import traceback
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import orjson
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from tasks.serving import v1
from tasks.serving.encoding import coding_of, unpack
from tasks.serving.engine import Answer, Engine
from tasks.serving.keeper import Keeper
from tasks.serving.limits import Admission, Gone, Refusal, check_token
from tasks.serving.metrics import CONTENT_TYPE, Metrics
from tasks.serving.release import Loaded
from tasks.serving.tensors import Wrong
from tasks.store.token import TokenFile

logger = logging.getLogger(__name__)

VERSION_HEADER = b"x-model-version"
METRICS_PATH = "/metrics"


@dataclass(frozen=True)
class Identity:
    """Who answers on this port: health tells the ids, so that a caller knows its own server from another's.

    They tell a stranger neither a path nor a process.
    """

    name: str
    document: str  # the id of the document's place
    start: str  # what the starter gave as `--start`


def make_app(keeper: Keeper, identity: Identity, *, token: TokenFile | None = None) -> ASGIApp:
    """Give the application that answers for one model."""
    site = _Site(keeper, identity)
    predict = _Predict(site)
    bases = ("/v1/models/{name}", "/v1/models/{name}/versions/{version}")
    # Predict takes every method and refuses the wrong ones: GET would find a model named "mnist:predict".
    routes = [
        *(Route(f"{base}:predict", predict) for base in bases),
        *(Route(f"{base}/metadata", site.metadata) for base in bases),
        *(Route(base, site.status) for base in bases),
        Route("/health/live", site.live),
        Route("/health/ready", site.is_ready),
        Route(METRICS_PATH, site.show_metrics),
    ]
    app = Starlette(
        routes=routes,
        exception_handlers=dict.fromkeys((Refusal, HTTPException, Exception), _on_error),
    )
    return _Envelope(app, predict, token)


class _Site:
    """The endpoints; a path with a version is for that version alone."""

    def __init__(self, keeper: Keeper, identity: Identity) -> None:
        self.keeper = keeper
        self.identity = identity
        self.metrics = Metrics()

    async def live(self, request: Request) -> Response:
        return _answer({"status": "live"})

    async def is_ready(self, request: Request) -> Response:
        keeper = self.keeper
        body = {
            "status": "ready" if keeper.ready else "not ready",
            "version": keeper.version,
            "digest": keeper.loaded.digest if keeper.loaded else "",
            "runtime": keeper.loaded.runtime if keeper.loaded else "",
            "error": keeper.error,
            "fallback": keeper.fallback,
            "settled": keeper.settled,
            "document": self.identity.document,
            "revision": keeper.revision,
            "start": self.identity.start,
        }
        return _answer(body, 200 if keeper.ready else 503)

    async def show_metrics(self, request: Request) -> Response:
        text = self.metrics.render(self.identity.name, self.keeper)
        return Response(text, headers={"content-type": CONTENT_TYPE})

    async def status(self, request: Request) -> Response:
        keeper = self.keeper
        self.check_name(request.path_params["name"])
        entries: dict[int, tuple[str, str]] = {}
        if keeper.wanted:
            entries[keeper.wanted] = ("END", keeper.error) if keeper.error else ("LOADING", "")
        if keeper.loaded:
            # A document that cannot be read names no other version to put the reason at.
            entries[keeper.version] = ("AVAILABLE", keeper.error if keeper.wanted == keeper.version else "")
        if (asked := request.path_params.get("version")) is not None:
            entries = {version: entry for version, entry in entries.items() if str(version) == asked}
        if not entries:
            which = f"version {asked[:20]}" if asked else "any version"
            raise Refusal(404, f"Could not find {which} of model {self.identity.name}")
        return _answer(v1.status(entries))

    async def metadata(self, request: Request) -> Response:
        loaded = self.loaded(request.path_params)
        return _answer(v1.metadata(self.identity.name, loaded))

    def check_name(self, name: str) -> None:
        """Refuse a model that is not the one here."""
        if name != self.identity.name:
            raise Refusal(
                404, f"Could not find any versions of model {name[:40]}: here is {self.identity.name}"
            )

    def loaded(self, path: Mapping[str, str]) -> Loaded:
        """Give the version that the path asks for."""
        self.check_name(path.get("name", self.identity.name))
        loaded = self.keeper.loaded
        asked = path.get("version")
        if loaded is None:
            raise Refusal(503, self.keeper.error or "no version is served yet", {"retry-after": "1"})
        if asked is not None and asked != str(loaded.version):
            raise Refusal(
                404,
                f"Servable not found for request: Specific({self.identity.name}, {asked[:20]}); "
                f"version {loaded.version} is served",
            )
        return loaded


class _Predict:
    """The predict endpoint, as a bare ASGI application: this is where the requests are."""

    def __init__(self, site: _Site) -> None:
        self.site = site
        self.engine = Engine()
        self.admission = Admission()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            version, answer = await self.answer(scope, receive)
        except Gone:
            return
        except Exception as error:
            if not isinstance(error, Wrong | Refusal | HTTPException):
                logger.exception("a request failed")
            # They hold the body, and in a circle the error itself, until the garbage is collected.
            traceback.clear_frames(error.__traceback__)
            response = _refuse(scope["method"], scope["path"], error)
            await response(scope, receive, send)
            return
        headers = [
            (b"content-type", b"application/json"),
            (b"content-length", b"%d" % len(answer.body)),
            (VERSION_HEADER, b"%d" % version),
        ]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": answer.body})

    async def answer(self, scope: Scope, receive: Receive) -> tuple[int, Answer]:
        """Give the version that answers and its answer."""
        if scope["method"] != "POST":
            raise HTTPException(405, headers={"allow": "POST"})
        path, limits = scope.get("path_params", {}), self.site.keeper.limits
        self.site.loaded(path)  # refused before its body is read
        coding = coding_of(scope)
        with self.admission.hold(limits.max_request_mib) as held:
            body = await held.body(scope, receive)
            if coding:
                body = await unpack(body, held.grow)
            held.take_place(len(body))
            loaded = self.site.loaded(path)
            started = time.perf_counter()
            answer = await self.engine.predict(body, loaded, max_images=limits.max_images)
            self.site.metrics.count(answer, time.perf_counter() - started)
            return loaded.version, answer


class _Envelope:
    """Around everything: the token, the version in each answer, the count, and the short way to predict."""

    def __init__(self, app: Starlette, predict: _Predict, token: TokenFile | None) -> None:
        self.app = app
        self.predict = predict
        self.predict_path = f"/v1/models/{predict.site.identity.name}:predict"
        self.keeper = predict.site.keeper
        self.requests = predict.site.metrics.requests
        self.token = token

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        path = scope["path"]
        # Probes and scrapes have no token, and say nothing of what users get.
        watching = path == METRICS_PATH or path.startswith("/health/")

        async def named(message: Message) -> None:
            if message["type"] == "http.response.start":
                if not watching:
                    self.requests[message["status"]] += 1
                headers = message["headers"]
                if all(name != VERSION_HEADER for name, _ in headers):
                    message["headers"] = [*headers, (VERSION_HEADER, b"%d" % self.keeper.version)]
            await send(message)

        if self.token is not None and not watching:
            try:
                check_token(scope, self.token.current())
            except Refusal as refusal:
                await _refuse(scope["method"], path, refusal)(scope, receive, named)
                return
        app = self.predict if path == self.predict_path else self.app
        await app(scope, receive, named)


def _answer(body: Mapping[str, Any], status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    return Response(orjson.dumps(body), status, headers=headers, media_type="application/json")


async def _on_error(request: Request, error: Exception) -> Response:
    return _refuse(request.method, request.url.path, error)


def _refuse(method: str, path: str, error: Exception) -> Response:
    """Give the answer to a request that failed: what was wrong with it, or that it was not its fault."""
    if isinstance(error, Wrong):
        return _answer({"error": str(error)}, 400)
    if isinstance(error, Refusal):
        return _answer({"error": error.reason}, error.status, error.headers)
    if isinstance(error, HTTPException):
        return _answer({"error": f"{method} {path[:200]}: {error.detail}"}, error.status_code, error.headers)
    return _answer({"error": "the server failed; its log tells why"}, 500)
