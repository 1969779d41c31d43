"""What runs around a request: disconnects, signals, calls into an event loop. Routes and responses are elsewhere."""
