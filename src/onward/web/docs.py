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
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; font-src data:; "
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

STYLE: Final = b"""\
:root { color-scheme: light; }
body { margin: 0; }
noscript { display: block; padding: 1rem; font: 1rem sans-serif; }
#page :focus-visible { outline: 3px solid #1a5fd0; outline-offset: 2px; }
.swagger-ui .info { margin: 24px 0; }
.swagger-ui .info a, .swagger-ui .markdown a { color: #1a5fd0; }
.swagger-ui .btn.authorize { color: #1b6e47; border-color: currentcolor; }
.swagger-ui .btn.authorize svg { fill: currentcolor; }
.swagger-ui .opblock .opblock-summary-method { color: #111; text-shadow: none; }
.swagger-ui .opblock-head .opblock-summary-method { color: #fff; }
.swagger-ui .opblock .opblock-summary-path { overflow-wrap: anywhere; }
.swagger-ui table.responses-table td, .swagger-ui .parameters-col_description { overflow-wrap: anywhere; }
@media (max-width: 640px) {
  .swagger-ui .wrapper { padding: 0 8px; }
  .swagger-ui .info .title { font-size: 26px; }
  .swagger-ui .opblock .opblock-summary { flex-wrap: wrap; }
  .swagger-ui .opblock .opblock-summary-description { flex-basis: 100%; padding: 4px 0; text-align: start; }
  .swagger-ui .parameters-col_name, .swagger-ui .response-col_status { min-width: 5.5em; width: auto; }
  .swagger-ui table.model tr td, .swagger-ui .opblock-body pre { max-width: 80vw; }
}
@media (prefers-color-scheme: dark) {
  /* The whole page turned over, hues kept; what is dark in the light is turned back. */
  :root { filter: invert(0.92) hue-rotate(180deg); background: #fff; scrollbar-color: #777 #141414; }
  .swagger-ui .opblock-delete .opblock-summary-method { color: #fff; }
  .swagger-ui .highlight-code, .swagger-ui .microlight, .swagger-ui .responses-inner .curl {
    filter: invert(1) hue-rotate(180deg);
  }
  .swagger-ui .highlight-code .microlight { filter: none; }
  .swagger-ui, .swagger-ui .info li, .swagger-ui .info p, .swagger-ui .opblock-description-wrapper p { color: #222; }
}
"""

PAGE: Final = """\
<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Onward: the HTTP API</title>
<link rel="icon" href="{icon}">
<meta name="color-scheme" content="light dark">
<link rel="stylesheet" href="{swagger}">
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
    return {**found, "start.js": Asset("text/javascript", START), "style.css": Asset("text/css", STYLE)}


def docs_routes(site: Site) -> Sequence[HTTPRouteHandler]:
    """``/docs``, its assets and ``/openapi.json``; none of them is in the description."""

    async def page(exchange: Exchange) -> Response[bytes]:
        known = await to_thread.run_sync(assets)
        prefix = urlsplit(exchange.hrefs.base).path
        href = {name: f"{prefix}/docs/assets/{asset.tag}/{name}" for name, asset in known.items()}
        text = PAGE.format(
            icon=href["favicon-32x32.png"],
            swagger=href["swagger-ui.css"],
            style=href["style.css"],
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
