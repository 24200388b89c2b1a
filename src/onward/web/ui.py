"""``/ui``: the page for people, from files that come with the package, and the browser client for any other page."""

from __future__ import annotations

import gzip
import hashlib
import re
from collections.abc import Mapping, Sequence
from importlib.resources import files
from importlib.resources.abc import Traversable
from typing import Final, NamedTuple
from urllib.parse import urlsplit

import msgspec
from anyio import to_thread
from litestar import Response
from litestar.handlers import HTTPRouteHandler
from litestar.openapi.spec import Operation

from onward.core.types import Limits
from onward.errors import BadBody, BadField, NotFound
from onward.web.bench import Bench, Faults
from onward.web.body import gather
from onward.web.site import Exchange, Site, route
from onward.wire.message import Reply

SHIPPED: Final = files("onward").joinpath("_ui", "dist")
"""Where `make client` puts the page."""

PATH: Final = "/ui"
FRONT: Final = "index.html"

POLICY: Final = (
    # WebAssembly hashes whole files, and chunks where a page without https has no SHA-256 of its own.
    "default-src 'self'; script-src 'self' 'wasm-unsafe-eval'; worker-src 'self' blob:; style-src 'self'; "
    "img-src 'self' data: blob:; connect-src 'self'; frame-ancestors 'none'; base-uri 'none'; form-action 'self'"
)

KINDS: Final = {
    ".html": "text/html",
    ".js": "text/javascript",
    ".css": "text/css",
    ".json": "application/json",
    ".svg": "image/svg+xml",
    ".png": "image/png",
    ".ico": "image/x-icon",
    ".woff2": "font/woff2",
    ".webmanifest": "application/manifest+json",
}
"""Media types of what is served; a file of another kind is not."""

_HASHED: Final = re.compile(r"[-.][A-Za-z0-9_-]{8,}\.[a-z0-9]+")
"""The end of a name that stands for the bytes, as builders write it: ``app-B1xQ90aZ.js``."""

_BODY_IDLE: Final = 10.0
_SAID: Final = 4096

NOT_BUILT: Final = b"""\
<!doctype html>
<html lang="en">
<head><meta charset="utf-8"><title>Onward: no page here</title></head>
<body>
<h1>The page is not built</h1>
<p>This copy of Onward came without its page for browsers; <code>make client</code> builds it. The API is up: its
description is at <a href="../docs">/docs</a>, and uploads are taken as ever.</p>
</body>
</html>
"""


class Asset(NamedTuple):
    """One file of the page."""

    media_type: str
    data: bytes
    packed: bytes
    """The same bytes with gzip; empty where that would save nothing."""
    tag: str
    lasts: bool
    """Its name changes with its bytes, so that it may be kept for good."""


class PageConfig(msgspec.Struct, frozen=True, kw_only=True):
    """Answer to ``GET /ui/config.json``: what the page must know of the server. Paths are as browsers see them."""

    version: str
    demo: bool
    """``PUT /ui/faults`` works."""
    endpoint: str
    """The chunk API."""
    files: str
    uploads: str
    events: str
    operator_token: bool
    """Lists and events of all uploads need the operator's token."""
    delete_finished: bool
    """A finished file may be deleted by whoever may cancel its upload."""
    limits: Limits


class Shelf:
    """The files below a folder, read once, when the first of them is asked for."""

    def __init__(self, folder: Traversable) -> None:
        self._folder = folder
        self._assets: Mapping[str, Asset] | None = None

    async def find(self, name: str) -> Asset | None:
        """The file with this path below the folder, if there is one."""
        if self._assets is None:
            self._assets = await to_thread.run_sync(_read, self._folder)
        return self._assets.get(name)


def ui_routes(
    site: Site, *, version: str, bench: Bench | None = None, deletes: bool = False, folder: Traversable = SHIPPED
) -> Sequence[HTTPRouteHandler]:
    """``/ui`` and what lies below, and ``/``, which leads there; none of them is in the description.

    ``bench`` makes uploads fail as the page wishes; without one there is no ``/ui/faults``. ``deletes`` tells the page
    that finished files can be deleted.
    """
    shelf = Shelf(folder)

    async def lead(exchange: Exchange) -> Response[bytes]:
        return _lead(exchange)

    async def front(exchange: Exchange) -> Response[bytes]:
        if not exchange.request.scope["raw_path"].endswith(b"/"):
            return _lead(exchange)  # what the page loads is named relative to it
        page = await shelf.find(FRONT)
        if page is None:
            headers = {**_guards(page=True), "Cache-Control": "no-store"}
            return exchange.respond(Reply(status=503, headers=headers, body=NOT_BUILT, media_type=KINDS[".html"]))
        return _hand_out(exchange, page)

    async def file(exchange: Exchange) -> Response[bytes]:
        asset = await shelf.find(str(exchange.request.path_params["file"]).strip("/"))
        if asset is None:
            raise NotFound("there is no such file")
        return _hand_out(exchange, asset)

    async def config(exchange: Exchange) -> Response[bytes]:
        settings, prefix = site.settings, _prefix(exchange)
        said = PageConfig(
            version=version,
            demo=bench is not None,
            endpoint=prefix + settings.upload_path,
            files=prefix + settings.files_path,
            uploads=prefix + settings.uploads_path,
            events=prefix + settings.events_path,
            operator_token=bool(settings.token),
            delete_finished=deletes,
            limits=settings.limits,
        )
        return exchange.respond(_json(said))

    async def faults(exchange: Exchange) -> Response[bytes]:
        if bench is None:
            raise NotFound("faults are made only by a server that was started with --demo")
        if exchange.method == "PUT":
            bench.set(_faults(await gather(exchange.body, idle=_BODY_IDLE, most=_SAID)))
        return exchange.respond(_json(bench.view()))

    pages = [
        *route(site, "/", {"GET": (lead, Operation, "root"), "HEAD": (lead, Operation, "rootHead")}),
        *route(site, PATH, {"GET": (front, Operation, "ui"), "HEAD": (front, Operation, "uiHead")}),
        *route(
            site, f"{PATH}/{{file:path}}", {"GET": (file, Operation, "uiFile"), "HEAD": (file, Operation, "uiFileHead")}
        ),
        *route(site, f"{PATH}/config.json", {"GET": (config, Operation, "uiConfig")}),
        *route(
            site, f"{PATH}/faults", {"GET": (faults, Operation, "uiFaults"), "PUT": (faults, Operation, "uiSetFaults")}
        ),
    ]
    for handler in pages:
        handler.include_in_schema = False
    return pages


def _read(folder: Traversable) -> Mapping[str, Asset]:
    return dict(_below(folder, "")) if folder.is_dir() else {}


def _below(folder: Traversable, prefix: str) -> Sequence[tuple[str, Asset]]:
    found: list[tuple[str, Asset]] = []
    for entry in folder.iterdir():
        name = prefix + entry.name
        if entry.is_dir():
            found += _below(entry, f"{name}/")
        elif (kind := KINDS.get(f".{name.rpartition('.')[2]}")) is not None:
            found.append((name, _asset(name, kind, entry.read_bytes())))
    return found


def _asset(name: str, kind: str, data: bytes) -> Asset:
    packed = gzip.compress(data, mtime=0)
    return Asset(
        media_type=kind,
        data=data,
        packed=packed if len(packed) < len(data) else b"",
        tag=hashlib.sha256(data).hexdigest()[:16],
        lasts=_HASHED.search(name.rpartition("/")[2]) is not None and not name.endswith(".html"),
    )


def _hand_out(exchange: Exchange, asset: Asset) -> Response[bytes]:
    """A file, packed for who takes it so; without its bytes for who has them."""
    packed = bool(asset.packed) and _takes_gzip(exchange.headers.get("accept-encoding", ""))
    tag = f'"{asset.tag}-gz"' if packed else f'"{asset.tag}"'
    headers = {
        **_guards(page=asset.media_type == KINDS[".html"]),
        "Cache-Control": "public, max-age=31536000, immutable" if asset.lasts else "no-cache",
        "ETag": tag,
    }
    if asset.packed:
        headers["Vary"] = "Accept-Encoding"
    known = {piece.strip().removeprefix("W/") for piece in exchange.headers.get("if-none-match", "").split(",")}
    if tag in known or "*" in known:
        return exchange.respond(Reply(status=304, headers=headers))
    if packed:
        headers["Content-Encoding"] = "gzip"
    body = asset.packed if packed else asset.data
    return exchange.respond(Reply(status=200, headers=headers, body=body, media_type=asset.media_type))


def _guards(*, page: bool) -> dict[str, str]:
    """What a browser may do with it: the page is for itself alone, the client's script for every page."""
    common = {
        "Content-Security-Policy": POLICY,
        "X-Content-Type-Options": "nosniff",
        "Referrer-Policy": "same-origin",
    }
    if page:
        return {**common, "Cross-Origin-Opener-Policy": "same-origin"}
    return {**common, "Cross-Origin-Resource-Policy": "cross-origin", "Access-Control-Allow-Origin": "*"}


def _lead(exchange: Exchange) -> Response[bytes]:
    headers = {"Location": f"{_prefix(exchange)}{PATH}/", "Cache-Control": "no-cache"}
    return exchange.respond(Reply(status=307, headers=headers))


def _prefix(exchange: Exchange) -> str:
    return urlsplit(exchange.hrefs.base).path


def _takes_gzip(accepted: str) -> bool:
    for piece in accepted.lower().split(","):
        coding, _, weight = piece.replace(" ", "").partition(";q=")
        if coding in {"gzip", "*"}:
            return weight.strip("0.") != "" or not weight
    return False


def _faults(body: bytes) -> Faults:
    try:
        return msgspec.json.decode(body, type=Faults)
    except msgspec.ValidationError as error:
        allowed = "fail and drop 0 to 0.5, delay_ms 0 to 2000, cut_seconds 0 to 30"
        raise BadField(f"no such faults: {error}; allowed are {allowed}", field="body", allowed=allowed) from None
    except msgspec.DecodeError:
        raise BadBody("the body is not JSON") from None


def _json(view: msgspec.Struct) -> Reply:
    headers = {"Cache-Control": "no-store", "X-Content-Type-Options": "nosniff"}
    return Reply(status=200, headers=headers, body=msgspec.json.encode(view), media_type="application/json")
