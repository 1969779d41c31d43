"""Compatibility with packages that import Starlette: the alias, the mode table, FastAPI's hooks. No features."""
