"""Keeping writers of the same keys apart: within one process, or among all processes of a host."""
