"""Journal and catalog in one SQLite file, for any number of processes of one host."""

from onward.journal.sqlite.journal import SqliteJournal

__all__ = ["SqliteJournal"]
