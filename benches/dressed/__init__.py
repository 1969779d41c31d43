"""A dressed application: what a service in production wears around its endpoints, the same on each framework.

Request ids and an access log are one ASGI middleware of our own, which all share. CORS, sessions, compression and
tracing are those of each framework. One request in a hundred is traced. The other frameworks of `benches.rivals` are
left out, because their middleware does not run ASGI middleware, or logs, compresses and signs something else.
"""
