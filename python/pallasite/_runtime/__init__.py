"""Support that runs around a request: disconnects, signals, threads, calls into a loop. No routes, no responses."""
