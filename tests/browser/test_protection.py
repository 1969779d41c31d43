"""What Chromium sends across sites, and which scripts of a page it runs, with the protection on."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.support.serving import Server, start

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="Chromium is not installed (Debian: chromium)")

WAYS = {"form", "upload", "fetch", "no-cors", "credentials", "no-referrer", "beacon", "socket", "sandbox"}


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    yield from running(tmp_path_factory.mktemp("site"), "site")


@pytest.fixture(scope="module")
def attacker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    yield from running(tmp_path_factory.mktemp("attacker"), "attacker")


def running(folder: Path, role: str) -> Iterator[Server]:
    server = start("uvicorn-httptools", folder, "tests.browser.pages:app", {"ROLE": role})
    try:
        yield server
        server.stop()
        assert server.unexpected_errors() == []
    finally:
        server.kill()


def visit(folder: Path, url: str) -> str:
    """Return the document as it is once the page's scripts have run. Every host name is this machine."""
    assert CHROMIUM is not None
    command = [CHROMIUM, "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"]
    command += ["--host-resolver-rules=MAP * 127.0.0.1", f"--user-data-dir={folder / 'profile'}"]
    command += ["--virtual-time-budget=10000", "--dump-dom", url]
    done = subprocess.run(command, capture_output=True, text=True, timeout=100, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    return done.stdout


def attack(folder: Path, site: Server, page: str, domain: str, who: str) -> set[str]:
    """Open the page of attacks, and return the ways in which a request has reached the application."""
    target = f"http://app.{domain}:{site.port}"
    document = visit(folder, f"{page}/page?target={target}&who={who}")
    assert "<title>sent</title>" in document
    found: list[str] = httpx.get(f"{site.url}/changed").json()
    return {name.removeprefix(f"{who}-") for name in found if name.startswith(f"{who}-")}


# Browsers send Sec-Fetch-Site to `localhost` and to https, but not to other hosts over http.
@pytest.mark.parametrize("domain", ["site.localhost", "site.test"])
def test_requests_of_the_site_itself_pass(site: Server, tmp_path: Path, domain: str) -> None:
    who = f"own.{domain}"
    page = f"http://app.{domain}:{site.port}"
    assert attack(tmp_path, site, page, domain, who) == WAYS - {"sandbox"}  # whose origin is not that of the site


@pytest.mark.parametrize("domain", ["site.localhost", "site.test"])
@pytest.mark.parametrize(
    "host", ["evil.{other}", "other.{domain}", "app.{domain}"], ids=["other site", "sibling host", "other port"]
)
def test_requests_of_other_pages_are_refused(
    site: Server, attacker: Server, tmp_path: Path, domain: str, host: str
) -> None:
    host = host.format(domain=domain, other=domain.replace("site", "elsewhere"))
    assert attack(tmp_path, site, f"http://{host}:{attacker.port}", domain, host) == set()


def test_only_scripts_with_the_nonce_run(site: Server, tmp_path: Path) -> None:
    document = visit(tmp_path, f"http://app.site.localhost:{site.port}/nonces")
    html = re.match(r"(?s).*?<html([^>]*)>", document)
    assert html is not None
    assert html[1].split() == ['data-mine="ran"']


def test_each_response_has_a_nonce_of_its_own(site: Server) -> None:
    policies = {httpx.get(f"{site.url}/nonces").headers["content-security-policy"] for _ in range(5)}
    assert len(policies) == 5
