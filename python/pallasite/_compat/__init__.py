"""Being Starlette for other packages: the alias, the table of differences, FastAPI's hooks. No features."""
