"""The numbers of the last runs and the circumstances in which they were taken, kept in `results.json`."""

from __future__ import annotations

import json
import os
import platform
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from datetime import datetime
from importlib import metadata
from pathlib import Path
from typing import Any

from benches.case import Case, load_cases
from benches.compare import OURS, THEIRS, Measurement
from benches.derived import DERIVED, Derived

HERE = Path(__file__).parent
STORE = HERE / "results.json"
PACKAGES = ("pallasite", "starlette", "fastapi", "falcon", "blacksheep", "litestar", "anyio", "httpx", "httpx2")
SERVERS = ("uvicorn", "httptools", "granian")
DRESSED = ("uvicorn", "httptools", "granian", "gunicorn", "h2corn", "opentelemetry-sdk")


@dataclass(frozen=True)
class Row:
    """One comparison with Starlette, in seconds per call."""

    name: str
    title: str
    group: str
    target: float | None
    ours: float
    theirs: float
    median_share: float

    @property
    def share(self) -> float:
        return self.ours / self.theirs

    @property
    def met(self) -> bool | None:
        return None if self.target is None else self.share <= self.target


@dataclass
class Results:
    """What the parts of a run have found; parts that were not run keep what an earlier run wrote."""

    cases: list[Row] = field(default_factory=list)
    rivals: dict[str, dict[str, float]] = field(default_factory=dict)
    """Request -> framework -> seconds per request, in one process."""
    servers: list[dict[str, Any]] = field(default_factory=list)
    dressed: list[dict[str, Any]] = field(default_factory=list)
    """One entry for each server and dressed application."""
    instructions: dict[str, dict[str, float]] = field(default_factory=dict)
    """Case -> side -> instructions per request."""
    circumstances: dict[str, dict[str, str]] = field(default_factory=dict)
    """Part -> when, where and with what it was measured."""

    def save(self, path: Path = STORE) -> None:
        path.write_text(json.dumps(asdict(self), indent=1) + "\n", encoding="utf-8")

    @classmethod
    def load(cls, path: Path = STORE) -> Results:
        """Empty results when there is no such file."""
        if not path.exists():
            return cls()
        stored = json.loads(path.read_text(encoding="utf-8"))
        return cls(**{**stored, "cases": [Row(**row) for row in stored["cases"]]})


def rows_of(measured: Mapping[str, Measurement]) -> list[Row]:
    """The measured cases and what can be derived from them, in the order of the case files."""
    entries: list[tuple[Case | Derived, Measurement]]
    entries = [(case, measured[case.name]) for case in load_cases().values() if case.name in measured]
    entries += [(derived, difference) for derived in DERIVED if (difference := derived.of(measured)) is not None]
    return [
        Row(
            name=entry.name,
            title=entry.title,
            group=entry.group,
            target=entry.target,
            ours=measurement.best[OURS],
            theirs=measurement.best[THEIRS],
            median_share=measurement.median_share(),
        )
        for entry, measurement in entries
    ]


def circumstances(packages: tuple[str, ...] = PACKAGES) -> dict[str, str]:
    versions = ", ".join(f"{name} {version}" for name in packages if (version := version_of(name)))
    return {
        "date": datetime.now().astimezone().strftime("%Y-%m-%d"),
        "machine": f"{cpu_model()}, {os.cpu_count()} cores, {platform.system()} {platform.release()}",
        "python": f"{platform.python_implementation()} {platform.python_version()}",
        "packages": versions,
    }


def version_of(package: str) -> str | None:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None


def cpu_model() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), "unknown CPU")
