"""What can be set from outside: each value comes from an environment variable and has a working default."""

from __future__ import annotations

import os
import secrets
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).parent

#: Enough for any form or JSON document of the demo; the upload route raises it for itself.
MAX_BODY_BYTES = 64 * 1024

#: Streams and chats included: each open window of a browser takes one.
MAX_REQUESTS = 1000

#: For any response but an upload or a stream.
MAX_SECONDS = 30

#: How long a sign-in lasts: a week.
SESSION_SECONDS = 7 * 24 * 3600


@dataclass(frozen=True)
class Settings:
    """Where the demo keeps its data and how much it accepts.

    `data` holds the database and the uploaded files (`DEMO_DATA`, by default `.cache/demo` in the working directory);
    `max_upload_bytes` bounds the body of one upload (`DEMO_MAX_UPLOAD`, by default 64 MB). `grace` is how long requests
    are still answered after the server was told to stop (`DEMO_GRACE`, in seconds, by default 0).
    """

    data: Path
    max_upload_bytes: int
    grace: float

    @classmethod
    def from_environment(cls) -> Settings:
        """Read the environment once, at import of the application."""
        return cls(
            data=Path(os.environ.get("DEMO_DATA", ".cache/demo")),
            max_upload_bytes=int(os.environ.get("DEMO_MAX_UPLOAD", "64000000")),
            grace=float(os.environ.get("DEMO_GRACE", "0")),
        )

    def secret(self) -> str:
        """What sessions are signed with: `DEMO_SECRET`, or a random key that is kept beside the database."""
        if given := os.environ.get("DEMO_SECRET"):
            return given
        path = self.data / "secret"
        self.data.mkdir(parents=True, exist_ok=True)
        with suppress(FileExistsError), open(path, "x", opener=_private) as file:
            file.write(secrets.token_urlsafe(32))
        return path.read_text()

    @property
    def database(self) -> Path:
        return self.data / "demo.sqlite3"

    @property
    def uploads(self) -> Path:
        return self.data / "uploads"


def _private(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)
