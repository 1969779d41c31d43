"""All cases; importing this package registers them."""

from benches.cases import files, forms, middleware, requests, responses, routing, testclient, websockets

__all__ = ["files", "forms", "middleware", "requests", "responses", "routing", "testclient", "websockets"]
