"""Benchmarks: Pallasite against Starlette and its peers, in one process and over loopback.

Run ``python -m benches --help``; ``benches/RESULTS.md`` holds the last written table and says how it was measured.
"""
