from pathlib import Path
from typing import Any

from litestar import Litestar, get
from litestar.connection import ASGIConnection
from litestar.di import NamedDependency
from litestar.params import FromPath

from onward import Caller, Engine, OnwardConfig, OnwardPlugin, Settings, UploadId, opening
from onward.errors import Unauthorized

settings = Settings(data=Path("var"), upload_path="/api/upload", files_path="/api/files")


def who(connection: ASGIConnection[Any, Any, Any, Any]) -> Caller:
    """Whoever your session, cookie or token says; here simply a header."""
    user = connection.headers.get("x-user")
    if user is None:
        raise Unauthorized("sign in first")
    return Caller(owner=user, headers=dict(connection.headers))


@get("/received/{id:str}")
async def received(id: FromPath[str], uploads: NamedDependency[Engine]) -> dict[str, int]:
    """A route of your own that uses the engine."""
    upload = await uploads.view(UploadId(id), Caller(operator=True))
    return {"bytes": upload.received_bytes}


app = Litestar(
    [received],
    plugins=[OnwardPlugin(OnwardConfig(settings=settings, engine=opening(settings, worker=True), caller=who))],
)
