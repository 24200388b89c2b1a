"""Bodies as they look, for the API's description. A test holds them against the views they show."""

from __future__ import annotations

from typing import Any, Final

from onward.web.openapi import EXAMPLE_ID, EXAMPLE_SHA256

Json = dict[str, Any]

_CHUNK: Final = 8388608
_SIZE: Final = 20971520
_NAME: Final = "film.mkv"
_AT: Final = 1795514400.0
_STATUS: Final = f"https://up.example/uploads/{EXAMPLE_ID}"
_RESULT: Final[Json] = {
    "ref": _NAME,
    "size": _SIZE,
    "sha256": EXAMPLE_SHA256,
    "content": f"https://up.example/files/{EXAMPLE_ID}/content",
}

DECLARE: Final[Json] = {"name": _NAME, "size": _SIZE, "chunk_size": _CHUNK, "sha256": EXAMPLE_SHA256}
COMPLETE: Final[Json] = {"file_unique_name": _NAME, "total_chunks": 3, "size": _SIZE}

STORED: Final[Json] = {
    "id": EXAMPLE_ID,
    "name": _NAME,
    "state": "receiving",
    "chunk": 1,
    "size": _CHUNK,
    "sha256": EXAMPLE_SHA256,
    "offset": _CHUNK,
    "length": _SIZE,
    "received": {"chunks": [[1, 1], [3, 3]]},
    "status": _STATUS,
}
DECLARED: Final[Json] = {
    "id": EXAMPLE_ID,
    "name": _NAME,
    "state": "receiving",
    "limits": {"max_size": 1 << 40, "max_chunk": 64 << 20, "max_chunks": 10000},
    "chunk_size": _CHUNK,
    "size": _SIZE,
    "offset": 0,
    "received": {"chunks": []},
    "missing": [[1, 3]],
    "holes": [[0, _SIZE - 1]],
    "urls": {
        "upload": f"https://up.example/upload/{_NAME}",
        "complete": "https://up.example/upload/complete",
        "status": _STATUS,
        "events": f"{_STATUS}/events",
    },
}
MANIFEST: Final[Json] = {
    "id": EXAMPLE_ID,
    "name": _NAME,
    "state": "receiving",
    "length": _SIZE,
    "chunk_size": _CHUNK,
    "layout": "flat",
    "offset": _CHUNK,
    "chunks": [{"number": 1, "offset": 0, "size": _CHUNK, "sha256": EXAMPLE_SHA256}],
    "missing": [[2, 3]],
    "holes": [[_CHUNK, _SIZE - 1]],
    "progress": None,
    "result": None,
    "failure": None,
    "created_at": _AT,
    "active_at": _AT + 2,
    "expires_at": _AT + 2 + 604800,
}
SEALED: Final[Json] = {
    "id": EXAMPLE_ID,
    "name": _NAME,
    "state": "verifying",
    "chunks": 3,
    "bytes": _SIZE,
    "total_known": True,
    "status": _STATUS,
    "result": None,
}
SEALED_DONE: Final[Json] = {**SEALED, "state": "done", "result": _RESULT}
PAGE: Final[Json] = {
    "uploads": [
        {
            "id": EXAMPLE_ID,
            "name": _NAME,
            "owner": None,
            "state": "receiving",
            "reason": None,
            "length": _SIZE,
            "received": _CHUNK,
            "kept": _CHUNK,
            "chunks": 1,
            "done": None,
            "map": None,
            "created_at": _AT,
            "active_at": _AT + 2,
            "expires_at": _AT + 2 + 604800,
            "urls": {"status": _STATUS, "events": f"{_STATUS}/events", "content": None},
        }
    ],
    "next": None,
    "server": {"free": 500107862016, "floor": 268435456, "promised": _SIZE - _CHUNK, "waiting": 0},
}
READY: Final[Json] = {
    "status": "ok",
    "checks": {
        "storage": {"status": "ok"},
        "journal": {"status": "ok"},
        "space": {"status": "ok"},
        "queue": {"status": "ok"},
    },
}
NOT_READY: Final[Json] = {
    "status": "failed",
    "checks": {
        "storage": {"status": "failed", "reason": "The storage failed"},
        "journal": {"status": "ok"},
        "space": {"status": "ok"},
        "queue": {"status": "degraded", "reason": "it cannot be reached"},
    },
}
