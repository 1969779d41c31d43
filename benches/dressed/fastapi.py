"""The dressed application on FastAPI."""

from benches.dressed.fastapi_app import make

app = make()
