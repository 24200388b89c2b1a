"""The schemas of bodies, read off the types that encode and decode them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import fields
from typing import Any, Final, get_args, get_type_hints

import msgspec
from litestar.openapi.spec import Components, SecurityScheme

from onward.engine.space import Room
from onward.web.event_shapes import EVENT
from onward.web.openapi import PREFIX, SCHEME, Json
from onward.web.probes import ReadyView
from onward.web.status import PageView, RowView
from onward.wire.bodies import Complete, Declare
from onward.wire.compat.content_range import AskedView, PostedView
from onward.wire.compat.front import TakenView
from onward.wire.problem import TYPE_PREFIX
from onward.wire.views import ChunkView, DeclaredView, ManifestView, OneChunkView, Received, SealedView, StoredView

SHOWN: Final = (
    AskedView,
    ChunkView,
    Complete,
    Declare,
    DeclaredView,
    ManifestView,
    OneChunkView,
    PageView,
    PostedView,
    ReadyView,
    Received,
    Room,
    RowView,
    SealedView,
    StoredView,
    TakenView,
)

PROBLEM: Final[Json] = {
    "type": "object",
    "title": "Problem",
    "description": "Why a request was not carried out (RFC 9457), with what a client needs in order to go on.",
    "required": ["type", "title", "status", "detail", "code"],
    "properties": {
        "type": {"type": "string", "format": "uri", "description": f"`{TYPE_PREFIX}` and the code."},
        "title": {"type": "string", "description": "The situation; always the same for a code."},
        "status": {"type": "integer", "minimum": 400, "maximum": 599},
        "detail": {"type": "string", "description": "This case, in a sentence for a person."},
        "code": {"type": "string", "description": "The situation, for programs. Stable."},
    },
    "additionalProperties": True,
}


class Schemas(Components):
    """The application's components and ours: Litestar writes its own over the schemas that it is given."""

    def to_schema(self) -> dict[str, Any]:
        written = super().to_schema()
        return {**written, "schemas": {**written.get("schemas", {}), **schemas()}}


def schemas() -> Json:
    """What operations refer to, by name."""
    _, found = msgspec.json.schema_components(SHOWN, ref_template=f"#/components/schemas/{PREFIX}{{name}}")
    for kind in SHOWN:
        shown = found[kind.__name__]
        shown["required"] = [name for name in shown.get("required", ()) if name not in _left_out(kind)]
    return {PREFIX + name: schema for name, schema in {**found, "Event": EVENT, "Problem": PROBLEM}.items()}


def _left_out(kind: type[msgspec.Struct]) -> set[str]:
    """Fields that an answer may lack, though whoever makes it must decide about each."""
    return {name for name, hint in get_type_hints(kind).items() if msgspec.UnsetType in get_args(hint)}


def joined(known: Components | Sequence[Components]) -> Components:
    """The components of an application with ours beside them."""
    found = Schemas()
    for one in [known] if isinstance(known, Components) else known:
        for field in fields(one):
            value = getattr(one, field.name)
            if value:
                setattr(found, field.name, {**(getattr(found, field.name) or {}), **value})
    token = SecurityScheme(type="http", scheme="bearer", description="The operator's token, if the server has one.")
    found.security_schemes = {**(found.security_schemes or {}), SCHEME: token}
    return found
