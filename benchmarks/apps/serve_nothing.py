"""A Litestar handler that takes a body and does nothing with it: ``PORT FOLDER``; the folder stays empty."""

import sys
from typing import Any

import uvicorn
from litestar import Litestar, Request, head, post


@post("/files")
async def create(request: Request[Any, Any, Any]) -> None:
    """Read it, so that the connection can go on."""
    await request.body()


@head("/files")
async def look() -> None:
    """Nothing is known."""


def main(port: int) -> None:
    """Serve until the end."""
    app = Litestar([create, look], openapi_config=None)
    uvicorn.run(app, port=port, http="httptools", loop="asyncio", log_level="warning", access_log=False)


if __name__ == "__main__":
    main(int(sys.argv[1]))
