"""The API's description and a page to read it on; everything that the page loads comes from this server."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from functools import cache
from importlib.resources import files
from typing import Final, NamedTuple
from urllib.parse import urlsplit

import msgspec
from anyio import to_thread
from litestar import Response
from litestar.handlers import HTTPRouteHandler
from litestar.openapi.spec import Operation

from onward.errors import NotFound
from onward.web.site import Exchange, Site, route
from onward.wire.message import Reply

FOREVER: Final = "public, max-age=31536000, immutable"
POLICY: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; font-src data:; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)

START: Final = b"""\
window.addEventListener("DOMContentLoaded", () => {
  const page = document.getElementById("page");
  window.SwaggerUIBundle({
    url: page.dataset.schema,
    domNode: page,
    deepLinking: true,
    defaultModelsExpandDepth: 0,
    presets: [window.SwaggerUIBundle.presets.apis],
    layout: "BaseLayout",
    validatorUrl: null,
  });
});
"""

PAGE: Final = """\
<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Onward: the HTTP API</title>
<link rel="icon" href="{icon}">
<link rel="stylesheet" href="{style}">
<script src="{bundle}" defer></script>
<script src="{start}" defer></script>
</head>
<body>
<noscript>This page needs JavaScript. The description itself is at <a href="{schema}">{schema}</a>.</noscript>
<div id="page" data-schema="{schema}"></div>
</body>
</html>
"""


class Asset(NamedTuple):
    """One file that the page loads."""

    media_type: str
    data: bytes

    @property
    def tag(self) -> str:
        """Stands for these bytes in the file's URL, which may thus be kept for good."""
        return hashlib.sha256(self.data).hexdigest()[:16]


@cache
def assets() -> dict[str, Asset]:
    """The page's files by name; Swagger UI's come from a package that ships them. Reads them, the first time."""
    shipped = files("openapi_ui_bundles").joinpath("swagger_ui", "vendor")
    kinds = {
        "swagger-ui-bundle.js": "text/javascript",
        "swagger-ui.css": "text/css",
        "favicon-32x32.png": "image/png",
    }
    found = {name: Asset(kind, shipped.joinpath(name).read_bytes()) for name, kind in kinds.items()}
    return {**found, "start.js": Asset("text/javascript", START)}


def docs_routes(site: Site) -> Sequence[HTTPRouteHandler]:
    """``/docs``, its assets and ``/openapi.json``; none of them is in the description."""

    async def page(exchange: Exchange) -> Response[bytes]:
        known = await to_thread.run_sync(assets)
        prefix = urlsplit(exchange.hrefs.base).path
        href = {name: f"{prefix}/docs/assets/{asset.tag}/{name}" for name, asset in known.items()}
        text = PAGE.format(
            icon=href["favicon-32x32.png"],
            style=href["swagger-ui.css"],
            bundle=href["swagger-ui-bundle.js"],
            start=href["start.js"],
            schema=f"{prefix}/openapi.json",
        )
        headers = {"Content-Security-Policy": POLICY, "X-Content-Type-Options": "nosniff", "Cache-Control": "no-cache"}
        return exchange.respond(Reply(status=200, headers=headers, body=text.encode(), media_type="text/html"))

    async def asset(exchange: Exchange) -> Response[bytes]:
        known = await to_thread.run_sync(assets)
        found = known.get(str(exchange.request.path_params["file"]))
        if found is None or found.tag != exchange.request.path_params["tag"]:
            raise NotFound("there is no such file")
        headers = {"Cache-Control": FOREVER, "X-Content-Type-Options": "nosniff"}
        return exchange.respond(Reply(status=200, headers=headers, body=found.data, media_type=found.media_type))

    async def schema(exchange: Exchange) -> Response[bytes]:
        body = msgspec.json.encode(exchange.request.app.openapi_schema.to_schema())
        headers = {"Cache-Control": "no-cache", "Access-Control-Allow-Origin": "*"}
        return exchange.respond(Reply(status=200, headers=headers, body=body, media_type="application/json"))

    pages = [
        *route(site, "/docs", {"GET": (page, Operation, "docs")}),
        *route(site, "/docs/assets/{tag:str}/{file:str}", {"GET": (asset, Operation, "docsAsset")}),
        *route(site, "/openapi.json", {"GET": (schema, Operation, "openapi")}),
    ]
    for handler in pages:
        handler.include_in_schema = False
    return pages
