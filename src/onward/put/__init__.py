"""`onward put`: files to the chunk API of a server, over networks that fail."""
