"""Carries out commands: lock, fold, admit, write, make durable, accept, append."""
