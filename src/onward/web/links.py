"""What links begin with: only what the operator said, or what a request may say."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network
from typing import Final

from litestar.types import HTTPScope

from onward.web.settings import WebSettings
from onward.wire.message import Hrefs

_NAME: Final = r"[A-Za-z0-9](?:[A-Za-z0-9_-]*[A-Za-z0-9])?"
_HOST: Final = re.compile(rf"(?:{_NAME}(?:\.{_NAME})*\.?|\[[0-9A-Fa-f:.]{{2,45}}\])(?::[0-9]{{1,5}})?", re.ASCII)
_PREFIX: Final = re.compile(r"(?:/(?!\.{1,2}(?:/|$))[A-Za-z0-9._~-]+)*", re.ASCII)
_LONGEST_HOST: Final = 262
_FORWARDED: Final = re.compile(
    r"""[ \t]*([!#$%&'*+\-.^_`|~0-9A-Za-z]+)=(?:([!#$%&'*+\-.^_`|~0-9A-Za-z]+)|"((?:[^"\\]|\\.)*)")[ \t]*([;,]|$)""",
    re.ASCII,
)
"""A pair of RFC 7239 and what comes behind it."""

Network = IPv4Network | IPv6Network


class Links:
    """Makes the links of replies.

    ``public_url`` stands before everything. Else scheme and host are the request's own, and
    those of ``X-Forwarded-*``, or of ``Forwarded`` where neither is there, only if the peer is a
    trusted proxy. A host outside the grammar of hosts is never repeated: links are then paths.
    """

    def __init__(self, settings: WebSettings, *, mount: str = "") -> None:
        self._settings = settings
        self._mount = mount.rstrip("/")
        self._proxies = networks(settings.trusted_proxies)

    def hrefs(self, scope: HTTPScope, headers: Mapping[str, str]) -> Hrefs:
        """Where things are found, as the client of this request should see it."""
        return Hrefs(
            base=self._base(scope, headers),
            upload=self._settings.upload_path,
            files=self._settings.files_path,
            uploads=self._settings.uploads_path,
        )

    def _base(self, scope: HTTPScope, headers: Mapping[str, str]) -> str:
        root = scope.get("root_path", "").rstrip("/")
        root = root if _PREFIX.fullmatch(root) else ""
        if self._settings.public_url:
            return f"{self._settings.public_url.rstrip('/')}{root}{self._mount}"
        scheme, host = scope["scheme"], headers.get("host", "")
        if self._trusts(scope):
            said_scheme, said_host = _last(headers, "x-forwarded-proto"), _last(headers, "x-forwarded-host")
            if not said_scheme and not said_host:
                # A proxy that writes the others may pass on what a client wrote here.
                said_scheme, said_host = _forwarded(headers.get("forwarded", ""))
            scheme, host = said_scheme.lower() or scheme, said_host or host
            prefix = _last(headers, "x-forwarded-prefix").rstrip("/")
            root = prefix + root if _PREFIX.fullmatch(prefix) else root
        if scheme not in {"http", "https"} or len(host) > _LONGEST_HOST or _HOST.fullmatch(host) is None:
            return f"{root}{self._mount}"
        return f"{scheme}://{host.lower()}{root}{self._mount}"

    def _trusts(self, scope: HTTPScope) -> bool:
        client = scope.get("client")
        if not client or not self._proxies:
            return False
        try:
            address = ip_address(client[0])
        except ValueError:
            return False
        mapped = getattr(address, "ipv4_mapped", None) or address
        return any(mapped in network for network in self._proxies)


def networks(texts: Sequence[str]) -> tuple[Network, ...]:
    """The networks that addresses and ``address/bits`` stand for. Raises ``ValueError`` naming a wrong one."""
    return tuple(ip_network(text, strict=False) for text in texts)


def _last(headers: Mapping[str, str], name: str) -> str:
    """The word of the nearest proxy, where several have added theirs."""
    return headers.get(name, "").rpartition(",")[2].strip()


def _forwarded(text: str) -> tuple[str, str]:
    """Scheme and host in the nearest proxy's element of a ``Forwarded``; nothing, if it cannot be read."""
    element: dict[str, str] = {}
    at = 0
    while at < len(text):
        match = _FORWARDED.match(text, at)
        if match is None:
            return "", ""
        element[match[1].lower()] = match[2] if match[3] is None else re.sub(r"\\(.)", r"\1", match[3])
        at = match.end()
        if match[4] == ",":
            element = {}
    return element.get("proto", ""), element.get("host", "")
