"""Dialects: HTTP in, commands out; outcomes in, HTTP out. Pure values, no I/O and no event loop."""
