"""Support that runs around a request: disconnects, signals, calls into an event loop. No routes, no responses."""
