"""Pallasite: an ASGI framework with Starlette's API and its hot paths in Rust."""

from pallasite._compat.alias import install_as_starlette as install_as_starlette

__all__ = ["__version__", "install_as_starlette"]

__version__ = "0.1.0"
