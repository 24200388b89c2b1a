"""Whether the process answers, and whether it can do its work."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Final, Literal

import anyio
import msgspec
from litestar import Response
from litestar.handlers import HTTPRouteHandler

from onward.errors import OnwardError
from onward.web import operations
from onward.web.site import Exchange, Site, log, route
from onward.wire.message import Reply

PATIENCE: Final = 5.0
"""Seconds that one check may take."""

GOOD_FOR: Final = 1.0
"""Seconds that an answer is good for: a probe writes to the disk, and anybody may ask."""

Standing = Literal["ok", "degraded", "failed"]


class CheckView(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """How one part is."""

    status: Standing
    reason: str = ""


class ReadyView(msgspec.Struct, frozen=True, kw_only=True):
    """Answer to ``GET /ready``."""

    status: Standing
    checks: dict[str, CheckView]


class Readiness:
    """Looks at storage, journal, room and queue, at most once a second."""

    def __init__(self, site: Site, clock: Callable[[], float] = anyio.current_time) -> None:
        self._site = site
        self._clock = clock
        self._turn = anyio.Lock()
        self._last: tuple[float, ReadyView] | None = None

    async def look(self) -> ReadyView:
        """How everything is.

        Without the queue uploads are still received, and finished when it is back; without room those that are
        there are still finished and read: that is degraded, not failed.
        """
        if self._site.draining:
            stops = CheckView(status="failed", reason="the server is shutting down")
            return ReadyView(status="failed", checks={"server": stops})
        async with self._turn:
            now = self._clock()
            if self._last is None or now - self._last[0] >= GOOD_FOR:
                self._last = (now, await self._checked())
            return self._last[1]

    async def _checked(self) -> ReadyView:
        engine = self._site.engine
        checks = {
            "storage": await _check("storage", engine.storage.check, "failed"),
            "journal": await _check("journal", engine.journal.check, "failed"),
            "space": await _check("space", engine.check_space, "degraded"),
            "queue": await _check("queue", engine.jobs.check, "degraded"),
        }
        found = {check.status for check in checks.values()}
        worst: Standing = "failed" if "failed" in found else "degraded" if "degraded" in found else "ok"
        return ReadyView(status=worst, checks=checks)


async def _check(name: str, check: Callable[[], Awaitable[None]], otherwise: Standing) -> CheckView:
    with anyio.move_on_after(PATIENCE) as scope:
        try:
            await check()
        except OnwardError as error:
            return CheckView(status=otherwise, reason=error.detail)
        except Exception as error:  # noqa: BLE001 - whatever a backend's library raises
            # Probes come every few seconds: one line each, the whole story only for who looks for it.
            log.warning("not ready: %s: %s", name, type(error).__name__)
            log.debug("the failed check", exc_info=True)
            return CheckView(status=otherwise, reason="it cannot be reached")
    if scope.cancelled_caught:
        return CheckView(status=otherwise, reason=f"no answer within {PATIENCE:g} seconds")
    return CheckView(status="ok")


def probe_routes(site: Site) -> Sequence[HTTPRouteHandler]:
    """``/health`` and ``/ready``."""
    readiness = Readiness(site)
    said = operations.probes()

    async def health(exchange: Exchange) -> Response[bytes]:
        return exchange.respond(_json(200, b'{"status":"ok"}'))

    async def ready(exchange: Exchange) -> Response[bytes]:
        view = await readiness.look()
        return exchange.respond(_json(503 if view.status == "failed" else 200, msgspec.json.encode(view)))

    return [
        *route(site, "/health", {"GET": (health, said["health"], "health")}),
        *route(site, "/ready", {"GET": (ready, said["ready"], "ready")}),
    ]


def _json(status: int, body: bytes) -> Reply:
    return Reply(status=status, headers={"Cache-Control": "no-store"}, body=body, media_type="application/json")
