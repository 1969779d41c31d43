"""What can be set from outside: each value comes from an environment variable and has a working default."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).parent

#: Enough for any form or JSON document of the demo; the upload route raises it for itself.
MAX_BODY_BYTES = 64 * 1024


@dataclass(frozen=True)
class Settings:
    """Where the demo keeps its data and how much it accepts.

    `data` holds the database and the uploaded files (`DEMO_DATA`, by default `.cache/demo` in the working directory);
    `max_upload_bytes` bounds one uploaded file (`DEMO_MAX_UPLOAD`, by default 64 MB).
    """

    data: Path
    max_upload_bytes: int

    @classmethod
    def from_environment(cls) -> Settings:
        """Read the environment once, at import of the application."""
        return cls(
            data=Path(os.environ.get("DEMO_DATA", ".cache/demo")),
            max_upload_bytes=int(os.environ.get("DEMO_MAX_UPLOAD", "64000000")),
        )

    @property
    def database(self) -> Path:
        return self.data / "demo.sqlite3"

    @property
    def uploads(self) -> Path:
        return self.data / "uploads"
