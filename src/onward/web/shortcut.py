"""An application that answers its most frequent requests without its router.

Litestar's way to a handler takes about as long as many of our answers. Where no middleware, guard
or hook of a host application stands on it, a request whose path is plain goes straight to the
answer that the same route gives.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any, Final, cast

from litestar import Litestar, Request
from litestar.enums import ScopeType
from litestar.handlers import HTTPRouteHandler
from litestar.types import HTTPScope, LifeSpanReceive, LifeSpanScope, LifeSpanSend, Message, Receive, Scope, Send

from onward.web.faults import refusal_of
from onward.web.handler import Handler, Made, Plain

_PARAMETER: Final = re.compile(r"(/.*/)\{(\w+):(?:str|path)\}")
_PLAIN: Final = re.compile(r"[A-Za-z0-9._-]+", re.ASCII)
"""The last segment of a path that everybody reads alike."""
_HOST: Final = re.compile(rb"[A-Za-z0-9.-]+(?::[0-9]{1,5})?")


class Shortcuts:
    """The answers of routes by method and path, where the path is fixed or ends with its only parameter."""

    def __init__(self, handlers: Iterable[HTTPRouteHandler]) -> None:
        self._fixed: dict[tuple[str, str], Made] = {}
        self._open: dict[tuple[str, str], tuple[str, Made]] = {}
        self._taken: set[str] = set()
        for handler in handlers:
            if isinstance(handler, Handler):
                self._add(handler)

    def _add(self, handler: Handler) -> None:
        for path in handler.paths:
            last = _PARAMETER.fullmatch(path)
            for method in handler.http_methods:
                if last is not None:
                    self._open[str(method), last[1]] = last[2], handler.made
                elif "{" not in path:
                    self._taken.add(path)
                    self._fixed[str(method), path] = handler.made

    def find(self, scope: HTTPScope) -> tuple[Made, dict[str, Any]] | None:
        """What answers this request, with the parameters of its path; ``None`` where the router has to look."""
        if scope.get("root_path") or not _has_plain_host(scope):
            return None
        method, path = scope["method"], scope["path"]
        fixed = self._fixed.get((method, path))
        if fixed is not None:
            return fixed, {}
        prefix, slash, last = path.rpartition("/")
        found = self._open.get((method, prefix + slash))
        if found is None or path in self._taken or _PLAIN.fullmatch(last) is None:
            return None
        name, made = found
        return made, {name: last}


def _has_plain_host(scope: HTTPScope) -> bool:
    return all(_HOST.fullmatch(value) is not None for name, value in scope["headers"] if name == b"host")


class Direct(Litestar):
    """A Litestar application with shortcuts to some of its routes. Its ``before_send`` hooks see those answers too."""

    shortcuts: Shortcuts | None = None

    async def __call__(
        self, scope: Scope | LifeSpanScope, receive: Receive | LifeSpanReceive, send: Send | LifeSpanSend
    ) -> None:
        """The ASGI application."""
        if self.shortcuts is not None and scope["type"] == ScopeType.HTTP:
            asked = cast("HTTPScope", scope)
            found = self.shortcuts.find(asked)
            if found is not None:
                await self._answer(asked, cast("Receive", receive), cast("Send", send), *found)
                return
        await super().__call__(scope, receive, send)

    async def _answer(
        self, scope: HTTPScope, receive: Receive, send: Send, made: Made, parameters: dict[str, Any]
    ) -> None:
        scope["app"] = scope["litestar_app"] = self
        scope.setdefault("state", {})
        scope["path_params"] = parameters
        request: Request[Any, Any, Any] = Request(scope, receive, send)
        try:
            response = await made(request)
        except Exception as error:  # noqa: BLE001  # the same last resort as the application's own
            response = refusal_of(request, error)

        async def send_and_tell(message: Message) -> None:
            for hook in self.before_send:
                await hook(message, scope)
            await send(message)

        if type(response) is not Plain:
            await response.to_asgi_response(self, request)(scope, receive, send_and_tell)
        else:
            await response(scope, receive, send_and_tell)
