"""Responses whose body is made while it is sent."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Iterable, Mapping
from typing import Any

import anyio
from litestar import Request, Response
from litestar.background_tasks import BackgroundTask, BackgroundTasks
from litestar.datastructures import Cookie
from litestar.enums import MediaType
from litestar.response.base import ASGIResponse
from litestar.types import Receive, Send, TypeEncodersMap

from onward.core.types import Buffer

Blocks = AsyncGenerator[Buffer, None]


class StreamingResponse(Response[bytes]):
    """Sends what ``blocks`` yields and closes it, also when the client leaves in the middle."""

    def __init__(self, blocks: Blocks, *, status_code: int, headers: Mapping[str, str], media_type: str) -> None:
        super().__init__(b"", status_code=status_code, headers=headers, media_type=media_type)
        self.blocks = blocks

    def to_asgi_response(
        self,
        app: object,
        request: Request[Any, Any, Any],
        *,
        background: BackgroundTask | BackgroundTasks | None = None,
        cookies: Iterable[Cookie] | None = None,
        encoded_headers: Iterable[tuple[bytes, bytes]] | None = None,
        headers: Mapping[str, str] | None = None,
        is_head_response: bool = False,
        media_type: MediaType | str | None = None,
        status_code: int | None = None,
        type_encoders: TypeEncodersMap | None = None,
    ) -> ASGIResponse:
        """The response as an ASGI application."""
        return _Sending(
            self.blocks,
            background=self.background or background,
            cookies=[*self.cookies, *(cookies or ())],
            headers={**(headers or {}), **self.headers},
            is_head_response=is_head_response,
            media_type=self.media_type or media_type,
            status_code=self.status_code or status_code,
        )


class _Sending(ASGIResponse):
    _should_set_content_length = False

    def __init__(self, blocks: Blocks, **rest: Any) -> None:  # noqa: ANN401 - passed on as they are
        super().__init__(**rest)
        self._blocks = blocks

    async def send_body(self, send: Send, receive: Receive) -> None:
        """Send block by block; stop when the client has left."""
        try:
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(_watch, receive, tasks.cancel_scope)
                async for block in self._blocks:
                    await send({"type": "http.response.body", "body": bytes(block), "more_body": True})
                await send({"type": "http.response.body", "body": b"", "more_body": False})
                tasks.cancel_scope.cancel()
        finally:
            with anyio.CancelScope(shield=True):
                await self._blocks.aclose()


async def _watch(receive: Receive, scope: anyio.CancelScope) -> None:
    while (await receive())["type"] != "http.disconnect":
        continue
    scope.cancel()
