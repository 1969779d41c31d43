"""The dressed application on FastAPI on Pallasite, with compiled routes."""

from pallasite import install_as_starlette

install_as_starlette(compile_fastapi=True)

from benches.dressed.fastapi_app import make  # noqa: E402

app = make()
