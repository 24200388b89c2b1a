"""What the events of a stream look like, for the API's description. A test holds real streams against it."""

from __future__ import annotations

from typing import Final

import msgspec

from onward.web.openapi import EXAMPLE_ID, EXAMPLE_SHA256, TEXT, WHOLE, Json, refer

_AT: Final[Json] = {"type": "number", "description": "Seconds since the epoch."}
_MAP: Final[Json] = {
    "type": "string",
    "pattern": "^[0-9]{0,64}$",
    "description": "How much of each of at most 64 equal parts is held, a digit each: 0 nothing, 9 all.",
}
_SHA256: Final[Json] = {"type": "string", "pattern": "^[0-9a-f]{64}$"}


def _or_null(schema: Json) -> Json:
    return {"anyOf": [schema, {"type": "null"}]}


def _data(**properties: Json) -> Json:
    return {"type": "object", "required": ["id", *properties], "properties": {"id": TEXT, **properties}}


DATA: Final[dict[str, Json]] = {
    "state": {
        "description": "How things stand: of one upload its manifest, of all those under way a row each.",
        "anyOf": [
            refer("ManifestView"),
            {
                "type": "object",
                "required": ["uploads"],
                "properties": {"uploads": {"type": "array", "items": refer("RowView")}},
            },
        ],
    },
    "caught-up": {"description": "All that was missed has been sent; what follows is new.", "type": "object"},
    "created": _data(at=_AT, name=_or_null(TEXT), length=_or_null(WHOLE), state={"const": "receiving"}),
    "progress": _data(received=WHOLE, length=_or_null(WHOLE), offset=WHOLE, map=_MAP),
    "sealed": _data(at=_AT, length=WHOLE, chunks=WHOLE, total_known={"type": "boolean"}),
    "verifying": _data(phase={"enum": ["assembling", "verifying"]}, done=WHOLE, total=WHOLE),
    "damaged": _data(at=_AT, state={"const": "receiving"}, size=WHOLE, keys={"type": "array", "items": WHOLE}),
    "published": _data(at=_AT, state={"const": "done"}, size=WHOLE, sha256=_SHA256, ref=TEXT),
    "failed": _data(at=_AT, state={"const": "failed"}, code=TEXT, detail=TEXT),
    "removed": _data(at=_AT, state={"enum": ["cancelled", "expired"]}),
    "server": {"description": "How the server stands as a whole; for operators alone.", **refer("Room")},
}
"""The JSON in the data of each event, by the event's name."""

EVENT: Final[Json] = {
    "type": "object",
    "title": "Event",
    "description": "One event of a stream, as a browser's `EventSource` tells it.",
    "required": ["id", "event", "data"],
    "properties": {
        "id": {"type": "string", "pattern": "^[0-9]+$", "description": "Send it as `Last-Event-ID` to go on after it."},
        "event": {"type": "string", "enum": list(DATA)},
        "data": {"type": "string", "contentMediaType": "application/json"},
    },
    "allOf": [
        {
            "if": {"properties": {"event": {"const": name}}},
            "then": {"properties": {"data": {"contentSchema": schema}}},
        }
        for name, schema in DATA.items()
    ],
}

_SHOWN: Final[tuple[tuple[int, str, Json], ...]] = (
    (17, "progress", {"received": 8388608, "length": 20971520, "offset": 8388608, "map": "9" * 25 + "5" + "0" * 38}),
    (19, "sealed", {"at": 1795514460.0, "length": 20971520, "chunks": 3, "total_known": True}),
    (19, "verifying", {"phase": "verifying", "done": 8388608, "total": 20971520}),
    (
        20,
        "published",
        {"at": 1795514461.0, "state": "done", "size": 20971520, "sha256": EXAMPLE_SHA256, "ref": "film.mkv"},
    ),
)

EXAMPLE: Final = "".join(
    f"id: {seq}\nevent: {name}\ndata: {msgspec.json.encode({'id': EXAMPLE_ID, **said}).decode()}\n\n"
    for seq, name, said in _SHOWN
)
"""The end of a stream, as it goes over the line."""
