"""Reference against optimised code, in one run: `python -m benchmarks`."""
