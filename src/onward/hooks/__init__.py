"""The host application's say in what is stored and published."""
