"""The page's server, on this host's 127.0.0.1 alone.

Whoever has the address that `labkit watch --web` prints may press the buttons: the token is the first part of every
path. A page from elsewhere that finds the port out has no token; its requests carry its own Origin, and after DNS
rebinding its own Host, and are refused for that, too.
"""

import asyncio
import hmac
import json
import secrets
import socket
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager

import uvicorn
from starlette.applications import Starlette
from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import Request
from starlette.responses import FileResponse, HTMLResponse, JSONResponse, PlainTextResponse, Response, StreamingResponse
from starlette.routing import Mount, Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from labkit.errors import NotAvailable
from labkit.judging import REPORT
from labkit.language import LANGUAGES, Language, Said
from labkit.live.watcher import Watcher
from labkit.live.words import catalogue, words
from labkit.report import environment

LOOPBACK = "127.0.0.1"
EVERY_S = 0.2  # between two states that are sent
LAST_WORDS_S = 3  # for the pages that are open to hear of the end

ALONE = "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
PAGE_MAY = f"default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src data:; {ALONE}"
REPORT_MAY = f"default-src 'none'; style-src 'unsafe-inline'; img-src data:; {ALONE}"
ON_ALL = {
    "Cache-Control": "no-store",
    "Referrer-Policy": "no-referrer",  # the address has the token in it
    "X-Content-Type-Options": "nosniff",
}


class Guard:
    """Lets in who has the token, asks this host by its own name, and does not come from somebody else's page."""

    def __init__(self, app: ASGIApp, token: str, port: int) -> None:
        self._app = app
        self._token = token.encode()
        self._hosts = {f"{name}:{port}" for name in (LOOPBACK, "localhost")}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return
        allowed = self._lets_in(scope["method"], scope["path"], Headers(scope=scope))
        app = self._app if allowed else PlainTextResponse("forbidden\n", status_code=403)

        async def send_on(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message).update(ON_ALL)
            await send(message)

        await app(scope, receive, send_on)

    def _lets_in(self, method: str, path: str, headers: Headers) -> bool:
        host, origin = headers.get("host", ""), headers.get("origin")
        given = path.removeprefix("/").partition("/")[0]
        if not hmac.compare_digest(given.encode(), self._token) or host not in self._hosts:
            return False
        if origin is None:
            return method == "GET"  # a browser says where a POST comes from
        return origin == f"http://{host}"


def application(watcher: Watcher, token: str, port: int, usual: Language) -> Guard:
    """The whole of what is served. usual: the language of a page that asks for none."""

    def language(request: Request) -> Language:
        return next((one for one in LANGUAGES if one == request.query_params.get("lang")), usual)

    def page(request: Request) -> Response:
        lab, chosen = watcher.lab, language(request)
        text = (
            environment()
            .get_template("watch.html")
            .render(
                lab=lab,
                language=chosen,
                other=next(one for one in LANGUAGES if one != chosen),
                words=words(chosen),
                faults=list(catalogue(lab.spec, chosen)),
            )
        )
        return HTMLResponse(text, headers={"Content-Security-Policy": PAGE_MAY})

    def style(_: Request) -> Response:
        return Response(environment().get_template("watch.css").render(), media_type="text/css")

    def script(_: Request) -> Response:
        return Response(environment().get_template("watch.js").render(), media_type="text/javascript")

    def events(request: Request) -> Response:
        return StreamingResponse(_states(watcher, language(request)), media_type="text/event-stream")

    def press(request: Request) -> Response:
        try:
            watcher.press(request.path_params["fault"])
        except Said as refusal:
            return JSONResponse({"why": refusal.text.within(language(request))}, status_code=409)
        return JSONResponse({}, status_code=202)

    def report(request: Request) -> Response:
        folder = watcher.reports.get(request.path_params["run"])
        if folder is None:
            return PlainTextResponse("no such run was made here\n", status_code=404)
        return FileResponse(folder / REPORT, headers={"Content-Security-Policy": REPORT_MAY})

    routes = [
        Route("/", page),
        Route("/watch.css", style),
        Route("/watch.js", script),
        Route("/events", events),
        Route("/press/{fault}", press, methods=["POST"]),
        Route(f"/runs/{{run}}/{REPORT}", report),
    ]
    return Guard(Starlette(routes=[Mount(f"/{token}", routes=routes)]), token, port)


async def _states(watcher: Watcher, language: Language) -> AsyncIterator[str]:
    """Server-sent events: the whole state each time, so that a page which comes late or again lacks nothing."""
    while True:
        document = watcher.view.document(language)
        yield f"data: {json.dumps(document, ensure_ascii=False)}\n\n"
        if document["ended"]:
            return
        await asyncio.sleep(EVERY_S)


@contextmanager
def served(watcher: Watcher, port: int, language: Language) -> Iterator[str]:
    """Serves the page for as long as the `with` lasts, and gives its address. port: 0 takes a free one.

    Raises NotAvailable if the port is taken.
    """
    with socket.socket() as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind((LOOPBACK, port))
            listener.listen()
        except OSError as error:
            raise NotAvailable(
                f"cannot listen on {LOOPBACK}:{port}: {error.strerror}; use another --port, or none to get a free one"
            ) from error
        port = listener.getsockname()[1]
        token = secrets.token_urlsafe(24)
        config = uvicorn.Config(
            application(watcher, token, port, language),
            log_config=None,
            access_log=False,
            lifespan="off",
            timeout_graceful_shutdown=LAST_WORDS_S,
        )
        server = uvicorn.Server(config)
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, name="the page's server")
        thread.start()
        try:
            yield f"http://{LOOPBACK}:{port}/{token}/"
        finally:
            server.should_exit = True
            thread.join()
