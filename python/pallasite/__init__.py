"""Pallasite: an ASGI framework with Starlette's API and its hot paths in Rust."""

__version__ = "0.1.0"
