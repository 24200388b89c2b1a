"""HTTP: the routes of Onward as a Litestar plugin. Thin; what is decided is decided further in."""
