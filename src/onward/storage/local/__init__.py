"""A directory on one local file system."""

from onward.storage.local.storage import LocalStorage

__all__ = ["LocalStorage"]
