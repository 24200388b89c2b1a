"""Uploads that carry on: a resumable-upload server that proves every byte.

The names below are the public ones. Each is loaded when it is first asked for, so that
``import onward`` costs nothing and loads no server.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from onward.app import create_app, opening
    from onward.config import Settings, SettingsError
    from onward.core.types import UploadId
    from onward.core.upload import Upload
    from onward.engine.engine import Engine
    from onward.errors import ClientFault, OnwardError, Refused, ServerFault
    from onward.hooks.none import NoHooks
    from onward.ports import Caller, Catalog, FeedItem, Hooks, Jobs, Journal, Locks, Storage
    from onward.web.plugin import OnwardConfig, OnwardPlugin

__all__ = (
    "Caller",
    "Catalog",
    "ClientFault",
    "Engine",
    "FeedItem",
    "Hooks",
    "Jobs",
    "Journal",
    "Locks",
    "NoHooks",
    "OnwardConfig",
    "OnwardError",
    "OnwardPlugin",
    "Refused",
    "ServerFault",
    "Settings",
    "SettingsError",
    "Storage",
    "Upload",
    "UploadId",
    "create_app",
    "opening",
)

_HOMES: Final = {
    "app": ("create_app", "opening"),
    "config": ("Settings", "SettingsError"),
    "core.types": ("UploadId",),
    "core.upload": ("Upload",),
    "engine.engine": ("Engine",),
    "errors": ("ClientFault", "OnwardError", "Refused", "ServerFault"),
    "hooks.none": ("NoHooks",),
    "ports": ("Caller", "Catalog", "FeedItem", "Hooks", "Jobs", "Journal", "Locks", "Storage"),
    "web.plugin": ("OnwardConfig", "OnwardPlugin"),
}
_HOME: Final = {name: f"onward.{home}" for home, names in _HOMES.items() for name in names}


def __getattr__(name: str) -> object:
    if name not in _HOME:
        raise AttributeError(f"module 'onward' has no attribute {name!r}")
    value: object = getattr(import_module(_HOME[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
