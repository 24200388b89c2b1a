"""Who sends a request."""

from __future__ import annotations

import hmac
from collections.abc import Awaitable, Callable
from typing import Any, cast

from litestar.connection import ASGIConnection
from litestar.types import HTTPScope

from onward.errors import Unauthorized
from onward.ports import Caller
from onward.web.paths import headers_of

Connection = ASGIConnection[Any, Any, Any, Any]

Resolver = Callable[[Connection], Awaitable[Caller] | Caller]
"""Says who sends a request. May raise ``Unauthorized`` or ``Refused``."""


def by_token(token: str) -> Resolver:
    """Nobody owns anything; whoever has ``token`` is an operator, and everybody if there is none."""
    expected = token.encode()

    def resolve(connection: Connection) -> Caller:
        headers = headers_of(cast("HTTPScope", connection.scope))
        scheme, _, given = headers.get("authorization", "").partition(" ")
        sent = given.strip().encode("utf-8", "surrogateescape")
        operator = not expected or (scheme.lower() == "bearer" and hmac.compare_digest(sent, expected))
        return Caller(operator=operator, headers=headers)

    return resolve


async def ask(resolver: Resolver, connection: Connection) -> Caller:
    """What the resolver says, whichever way it says it."""
    said = resolver(connection)
    return said if isinstance(said, Caller) else await said


def need_view_of_many(caller: Caller) -> None:
    """Raises ``Unauthorized`` unless the caller is an operator or owns uploads: others may only ask by id or name."""
    if not caller.operator and caller.owner is None:
        raise Unauthorized("this route shows many uploads; send the operator's token")
