"""Compiled routes of FastAPI: what `pallasite.fastapi` prepares, and does for a request. Nothing here matches paths."""
