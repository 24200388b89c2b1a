"""The app, the parent process and the worker that test_server.py looks at from outside."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
import time
from pathlib import Path
from typing import Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from onward import config
from onward.server.child import watch_parent
from onward.server.supervise import run_server

DATA = Path(os.environ["ONWARD_DATA"])
PLAN = os.environ.get("SERVER_TEST_PLAN", "")


async def answer(send: Any, status: int, **content: Any) -> None:
    body = json.dumps({"pid": os.getpid(), **content}).encode()
    headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})


async def gate() -> None:
    """Wait until the test lets go on."""
    while not (DATA / "gate").exists():  # noqa: ASYNC110  # the other side is another process
        await asyncio.sleep(0.02)


async def drink(receive: Any) -> tuple[bytes, str]:
    body = b""
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            return body, "disconnect"
        body += message["body"]
        if not message["more_body"]:
            return body, "complete"


async def read(scope: Any, receive: Any, send: Any) -> None:
    body, end = await drink(receive)
    names = [name.decode() for name, _ in scope["headers"]]
    await answer(send, 200, body=body.decode(), size=len(body), end=end, headers=names)


async def late(_scope: Any, receive: Any, send: Any) -> None:
    first = await receive()
    (DATA / "reading").touch()
    await gate()
    body, end = (b"", "complete") if not first["more_body"] else await drink(receive)
    (DATA / "seen").write_text(f"{len(first['body'] + body)} {end}")
    await answer(send, 200)


async def early(_scope: Any, _receive: Any, send: Any) -> None:
    await answer(send, 413)


async def until_drain(scope: Any, receive: Any, send: Any) -> None:
    draining = scope["extensions"]["onward.drain"]
    size = 0
    over = asyncio.ensure_future(draining.wait())
    while not draining.is_set():
        piece = asyncio.ensure_future(receive())
        await asyncio.wait({piece, over}, return_when=asyncio.FIRST_COMPLETED)
        if piece.done():
            size += len(piece.result()["body"])
            with (DATA / "arrived").open("a") as log:
                log.write("x" * len(piece.result()["body"]))
        else:
            piece.cancel()
    await answer(send, 503, size=size)


async def after_drain(scope: Any, _receive: Any, send: Any) -> None:
    (DATA / "waiting").touch()
    await scope["extensions"]["onward.drain"].wait()
    (DATA / "draining").touch()
    await gate()
    await answer(send, 200)


async def stuck(_scope: Any, receive: Any, _send: Any) -> None:
    with (DATA / "stuck").open("a") as log:
        log.write("x")
    while True:
        await receive()


async def block(_scope: Any, _receive: Any, send: Any) -> None:
    time.sleep(0.02)  # noqa: ASYNC251  # so that another process takes the next connection
    await answer(send, 200)


async def fail(_scope: Any, _receive: Any, _send: Any) -> None:
    raise ValueError("secret detail")


async def silent(_scope: Any, _receive: Any, _send: Any) -> None:
    return


ROUTES: dict[str, Any] = {
    f.__name__: f for f in (read, late, early, until_drain, after_drain, stuck, block, fail, silent)
}


async def app(scope: Any, receive: Any, send: Any) -> None:
    if scope["type"] == "http":
        await ROUTES.get(scope["path"].strip("/"), read)(scope, receive, send)
        return
    await receive()
    if PLAN == "cannot-start":
        await send({"type": "lifespan.startup.failed", "message": "no data directory"})
        return
    await send({"type": "lifespan.startup.complete"})
    await receive()
    (DATA / "lifespan-over").touch()
    if PLAN == "hang-at-end":
        await asyncio.sleep(3600)
    await send({"type": "lifespan.shutdown.complete"})


if PLAN == "other-uvicorn":

    def start_elsewhere(self: Any, cycle: Any, app: Any) -> None:
        self.tasks.add(task := self.loop.create_task(cycle.run_asgi(app)))
        task.add_done_callback(self.tasks.discard)

    # What our class overrides is no longer what uvicorn calls.
    stock = HttpToolsProtocol.on_headers_complete

    def on_headers_complete(self: Any) -> None:
        ours = type(self)._start_asgi_task
        type(self)._start_asgi_task = start_elsewhere
        stock(self)
        type(self)._start_asgi_task = ours

    HttpToolsProtocol.on_headers_complete = on_headers_complete  # type: ignore[method-assign]  # in this test process only


def work(parent_fd: int) -> None:
    """Be a worker that says who it is and what it was told."""
    watch_parent(parent_fd)

    def leave(_sig: int, _frame: Any) -> None:
        (DATA / "worker-told").write_text(str(os.getpid()))
        sys.exit(0)

    signal.signal(signal.SIGTERM, leave)
    with (DATA / "workers").open("a") as log:
        log.write(f"{os.getpid()} {os.getpriority(os.PRIO_PROCESS, 0)} {os.environ['ONWARD_DRAIN']}\n")
    while True:
        time.sleep(60)


if __name__ == "__main__":
    if "work" in sys.argv:
        work(int(sys.argv[-1]))
    sys.exit(
        run_server(
            config.load(dotenv=None),
            app="tests.integration.server_app:app",
            worker=[sys.executable, __file__, "work"],
        )
    )
