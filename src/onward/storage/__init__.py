"""Backends that keep bytes, one folder or file each; see ``onward.ports.Storage``."""
