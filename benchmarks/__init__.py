"""What Onward does on this machine, in figures: ``python -m benchmarks``."""
