"""Route handlers that take the short way through Litestar."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, cast

from litestar import Litestar, Request, Response
from litestar.handlers import HTTPRouteHandler
from litestar.response.base import ASGIResponse
from litestar.types import ASGIApp, HTTPResponseStartEvent, HTTPScope, Receive, Scope, Send

AnyRequest = Request[Any, Any, Any]

Made = Callable[[AnyRequest], Awaitable[Response[bytes]]]
"""Makes the response to a request."""


class Plain(Response[bytes]):
    """A status, headers and bytes, sent as they are."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send it: the two messages that Litestar's own responses consist of."""
        headers = [(name.lower().encode("latin-1"), value.encode("latin-1")) for name, value in self.headers.items()]
        body = b""
        if cast("HTTPScope", scope)["method"] != "HEAD" and self.status_code not in {204, 304}:
            body = self.content
            known = {name for name, _ in headers}
            if b"content-type" not in known:
                kind = str(self.media_type)
                kind = f"{kind}; charset=utf-8" if kind.startswith("text/") else kind
                headers.append((b"content-type", kind.encode("latin-1")))
            if b"content-length" not in known:
                headers.append((b"content-length", b"%d" % len(body)))
        start: HTTPResponseStartEvent = {
            "type": "http.response.start",
            "status": self.status_code or 200,
            "headers": headers,
        }
        await send(start)
        await send({"type": "http.response.body", "body": body, "more_body": False})

    def to_asgi_response(
        self,
        app: Litestar | None,
        request: AnyRequest,
        **rest: Any,  # noqa: ANN401, as it is there
    ) -> ASGIResponse:
        """Litestar's own response; to ``HEAD`` without the length and type of a body that there never was."""
        return super().to_asgi_response(app, request, **{**rest, "is_head_response": request.method == "HEAD"})


class Handler(HTTPRouteHandler):
    """A route whose response is made from the bare request.

    Guards, middleware and hooks of every layer are in force. Litestar's reading of parameters is
    left out, for there are none; so is its making of a response, but where a layer of the
    application has something to add to responses.
    """

    made: Made
    _is_plain: bool | None = None

    @classmethod
    def of(cls, path: str, made: Made, **options: Any) -> Handler:  # noqa: ANN401, Litestar's own
        """The handler of a path. ``options`` are those of ``HTTPRouteHandler``."""
        handler = cls(path, **options)(_later)
        handler = cast("Handler", handler)
        handler.made = made
        return handler

    async def to_response(self, app: Litestar, data: Any, request: AnyRequest) -> ASGIApp:  # noqa: ANN401, as it is there
        """What is sent: ``data`` where a hook of the application has answered already."""
        if data is None:
            data = await self.made(request)
        if type(data) is Plain and self._is_left_alone():
            return data
        return await super().to_response(app=app, data=data, request=request)

    def _is_left_alone(self) -> bool:
        if self._is_plain is None:
            self._is_plain = not (
                self.resolve_response_headers()
                or self.resolve_response_cookies()
                or any(layer.after_request for layer in self.ownership_layers)
            )
        return self._is_plain


async def _later() -> Response[bytes]:
    return cast("Response[bytes]", None)  # `to_response` makes it: only there is the request at hand
