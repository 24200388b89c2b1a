"""What the web layer wants to know of the settings."""

from __future__ import annotations

from typing import Protocol

from onward.core.types import Limits


class WebSettings(Protocol):
    """Settings as the routes read them; ``onward.config.Settings`` is one."""

    @property
    def token(self) -> str:
        """Bearer token of operators; empty: everybody is one."""

    @property
    def public_url(self) -> str:
        """Scheme and host that clients see; empty: what the request says."""

    @property
    def trusted_proxies(self) -> tuple[str, ...]:
        """Addresses and networks whose ``X-Forwarded-*`` or ``Forwarded`` is believed."""

    @property
    def upload_path(self) -> str:
        """Prefix of the chunk API."""

    @property
    def files_path(self) -> str:
        """Prefix of published files."""

    @property
    def uploads_path(self) -> str:
        """Prefix of the status of uploads."""

    @property
    def compat_path(self) -> str:
        """Prefix of the routes that front-ends of others use."""

    @property
    def events_path(self) -> str:
        """Path of the events of all uploads."""

    @property
    def cors_origins(self) -> tuple[str, ...]:
        """Origins that browsers may use the routes from; ``*`` for any."""

    @property
    def cors_credentials(self) -> bool:
        """Browsers may send cookies."""

    @property
    def limits(self) -> Limits:
        """The most that an upload may be."""

    @property
    def expire_after(self) -> float:
        """Seconds without a byte after which an unfinished upload is removed."""

    @property
    def send_104(self) -> str:
        """Whether interim responses are sent: ``auto``, ``always`` or ``never``."""
