"""Pallasite: an ASGI framework with Starlette's API and its hot paths in Rust."""

from pallasite._compat.alias import install_as_starlette as install_as_starlette

__all__ = ["__version__", "install_as_starlette", "request_id"]

__version__ = "0.1.0"


def request_id() -> str | None:
    """Return the id of the running request: that of its response's ``X-Request-ID``. Also in worker threads.

    None outside a request, and in an application without `ObservabilityMiddleware`.
    """
    from pallasite._runtime.request_id import current  # not loaded by applications without request ids

    return current.get()
