"""Turns results into text for the terminal, `RESULTS.md` and `results.svg`."""

from __future__ import annotations

import math
from collections.abc import Iterable

from benches.chart import Bar, Panel, draw
from benches.compare import OURS, THEIRS
from benches.results import HERE, Results, Row

MARKDOWN = HERE / "RESULTS.md"
CHART = HERE / "results.svg"
GROUPS = {
    "core": "One request",
    "routes": "Many routes",
    "toolkit": "Middleware, files, forms, test client",
    "fastapi": "FastAPI on Pallasite and on Starlette",
}
NAMES = {
    "bare": "bare ASGI callable",
    "pallasite": "Pallasite",
    "starlette": "Starlette",
    "fastapi": "FastAPI",
    "falcon": "Falcon",
    "blacksheep": "BlackSheep",
    "litestar": "Litestar",
}
DRESSED_NAMES = {
    "starlette": "Starlette",
    "pallasite": "Pallasite",
    "fastapi": "FastAPI",
    "fastapi_on_pallasite": "FastAPI on Pallasite, compiled routes",
}
SERVER_ORDER = ("uvicorn", "granian", "gunicorn", "h2corn")
PARTS = {
    "cases": "in-process comparison with Starlette",
    "fastapi": "FastAPI on both",
    "rivals": "in-process comparison with other frameworks",
    "servers": "end to end",
    "dressed": "dressed applications",
    "instructions": "instruction counts",
}


def time_text(seconds: float) -> str:
    """Three figures with a unit that fits."""
    for limit, factor, unit in ((1e-3, 1e6, "us"), (1.0, 1e3, "ms")):
        if seconds < limit:
            return f"{seconds * factor:.3g} {unit}"
    return f"{seconds:.3g} s"


def share_text(share: float) -> str:
    """Two figures without an exponent; 0 for a difference that noise has made negative."""
    if share <= 0:
        return "0"
    decimals = 2 if share >= 0.1 else 1 - math.floor(math.log10(share))
    return f"{share:.{decimals}f}"


def mark(row: Row) -> str:
    return "" if row.met is None else "met" if row.met else "**short**"


def table(head: list[str], rows: Iterable[list[str]]) -> list[str]:
    """A Markdown table; all columns but the first are numbers."""
    lines = ["| " + " | ".join(head) + " |", "|---|" + "---:|" * (len(head) - 1)]
    return lines + ["| " + " | ".join(row) + " |" for row in rows]


def terminal_line(row: Row) -> str:
    target = "" if row.target is None else f"target {row.target:<6} {'met' if row.met else 'SHORT'}"
    times = f"{time_text(row.ours):>9} against {time_text(row.theirs):>9}"
    return (
        f"{row.title[:58]:58} {times}  {share_text(row.share):>7} (median {share_text(row.median_share):>6})  {target}"
    )


def case_table(rows: list[Row]) -> list[str]:
    head = ["Case", "Pallasite", "Starlette", "share", "target", ""]
    cells = [
        [
            row.title,
            time_text(row.ours),
            time_text(row.theirs),
            share_text(row.share),
            "" if row.target is None else str(row.target),
            mark(row),
        ]
        for row in rows
    ]
    return table(head, cells)


def rival_table(results: Results) -> list[str]:
    requests = list(results.rivals)
    names = sorted(results.rivals[requests[0]], key=lambda name: results.rivals[requests[0]][name])
    rows = []
    for name in names:
        cells = [NAMES[name]]
        for request in requests:
            times = results.rivals[request]
            cells += [time_text(times[name]), share_text(times[name] / times[THEIRS])]
        rows.append(cells)
    head = ["Framework"]
    for request in requests:
        head += [request, "share of Starlette's"]
    return table(head, rows)


def server_table(results: Results) -> list[str]:
    entries = sorted(results.servers, key=lambda e: (e["request"], e["server"] != "uvicorn", -e["per_second"]))
    rows = [
        [
            f"{entry['request']}, {entry['server']}: {NAMES[entry['rival']]}",
            f"{entry['per_second']:,.0f}",
            f"{entry['p50_us'] / 1e3:.2f}",
            f"{entry['p99_us'] / 1e3:.2f}",
            "not reported" if entry["cpu_us"] is None else f"{entry['cpu_us']:.1f}",
        ]
        for entry in entries
    ]
    return table(["Request, server: framework", "requests/s", "median ms", "99 % ms", "server CPU us/request"], rows)


def dressed_table(results: Results) -> list[str]:
    entries = sorted(results.dressed, key=lambda entry: (SERVER_ORDER.index(entry["server"]), entry["cpu_us"]))
    rows = [
        [
            f"{entry['server']}: {DRESSED_NAMES[entry['application']]}",
            f"{entry['cpu_us']:.0f}",
            *(f"{entry[key] / 1e3:.2f}" for key in ("p50_us", "p99_us", "p999_us")),
            f"{entry['memory_mb']:.0f}",
        ]
        for entry in entries
    ]
    return table(["Server: application", "CPU us/request", "median ms", "99 % ms", "99.9 % ms", "memory MB"], rows)


def instruction_table(results: Results) -> list[str]:
    rows = [
        [name, f"{sides[OURS]:,.0f}", f"{sides[THEIRS]:,.0f}", share_text(sides[OURS] / sides[THEIRS])]
        for name, sides in results.instructions.items()
    ]
    return table(["Case", "Pallasite", "Starlette", "share"], rows)


METHOD = """\
Each case is one piece of application code, built once from Starlette's modules and once from Pallasite's. Before the
measurement, both answer the same request and the responses are compared: status, body, and headers in any order. For
signed cookies, the stored session data is compared; for compressed bodies, the decompressed bytes; for redirects, the
path without the host. A request is a new scope with eight browser headers and `spec_version` 2.3, as sent by uvicorn
and granian, with its own `receive` and a `send` that is always ready. Scopes are prepared before the clock starts.
Cases that never suspend run without an event loop, the others on asyncio. Both sides run in turns in one process, and
each goes first in every other round. The result is the minimum of the rounds. The garbage collector is off during the
measurement. A share is Pallasite's time divided by Starlette's in the same run, so smaller is faster. A target is the
largest share that the project accepts.

FastAPI uses whatever is called `starlette` when it is imported, so each side runs in its own process. The two
processes take turns in slices of 2 ms, and one waits while the other is measured. The application is the same module
in both. Responses are compared, timed and reported as described above.

The other frameworks each serve the same two pages, written as in their documentation. All responses have the same
status, JSON value and media type, and a correct Content-Length. Falcon's JSON has a space after colons. FastAPI,
Litestar and BlackSheep bind and validate the path parameter by its annotation, the others convert it in the route. The
bare callable is a dozen lines around `json.dumps`, without routing or error handling.

In the end-to-end tests, the server has one process and one core, and the load generator has another core ({load}, 32
connections, no pipelining, access logs off, asyncio's own event loop everywhere). Every round starts each server anew,
in turns. The tables show the round with the most requests per second. The processor time per request is the lowest of
all rounds: the user and system time of the server's processes during the load.

The dressed applications have request ids, an access log, tracing of one request in a hundred, CORS, signed sessions and
gzip around one JSON response of 2.5 KB. The load generator sends 400 requests a second at fixed times on 64
connections, below saturation, and counts a latency from the time when a request was due (open loop). Memory is that of
the server's processes after the run.

`python -m benches --write` repeats all measurements. `--help` lists the options.
"""


def markdown(results: Results) -> str:
    lines = ["# Benchmark results", "", "Generated by `python -m benches --write`. Do not edit by hand.", ""]
    if results.cases or results.rivals:
        lines += ["![Time of a request, by framework](results.svg)", ""]
    lines += circumstances_table(results)
    for group, title in GROUPS.items():
        if rows := [row for row in results.cases if row.group == group]:
            lines += ["", f"## {title}", "", *case_table(rows)]
    if results.rivals:
        lines += ["", "## Other frameworks, in one process", "", *rival_table(results)]
    if results.servers:
        lines += ["", "## End to end over loopback", "", *server_table(results)]
    if results.dressed:
        lines += ["", "## Dressed applications, open loop", "", *dressed_table(results)]
    if results.instructions:
        lines += ["", "## Instructions per request", "", *instruction_table(results)]
    load = results.circumstances.get("servers", {}).get("load", "wrk or benches/load.py")
    return "\n".join([*lines, "", "## Method", "", METHOD.format(load=load)])


def circumstances_table(results: Results) -> list[str]:
    """One column if all parts were measured at once, else one for each."""
    parts = {part: facts for part, facts in results.circumstances.items() if part in PARTS}
    rows: list[list[str]] = []
    for key in ("date", "machine", "python", "packages", "servers", "load"):
        values = {part: facts[key] for part, facts in parts.items() if key in facts}
        if len(set(values.values())) == 1:
            rows.append([key, next(iter(values.values()))])
        else:
            rows += [[f"{key} ({PARTS[part]})", value] for part, value in values.items()]
    return ["| | |", "|---|---|", *("| " + " | ".join(row) + " |" for row in rows)]


def chart(results: Results) -> str:
    panels: list[Panel] = []
    for request, times in results.rivals.items():
        bars = [
            Bar(NAMES[name], seconds, time_text(seconds), ours=name == OURS)
            for name, seconds in sorted(times.items(), key=lambda pair: pair[1])
        ]
        panels.append(Panel(f"{request}: time of a request", "in one process, without a server; less is better", bars))
    for server in ("uvicorn", "granian"):
        entries = [e for e in results.servers if e["server"] == server and e["request"] == "hello JSON"]
        if entries:
            entries.sort(key=lambda entry: -entry["per_second"])
            bars = [
                Bar(NAMES[e["rival"]], e["per_second"], f"{e['per_second']:,.0f}", ours=e["rival"] == OURS)
                for e in entries
            ]
            panels.append(Panel(f"hello JSON under {server}: requests per second", "one core; more is better", bars))
    for title, whose, rows in (
        ("Share of Starlette's time", "Starlette's", [row for row in results.cases if row.group != "fastapi"]),
        ("FastAPI on Pallasite", "FastAPI's on Starlette", [row for row in results.cases if row.group == "fastapi"]),
    ):
        bars = [
            Bar(short(row.title), row.share, share_text(row.share), ours=True, target=row.target)
            for row in rows
            if row.target is not None
        ]
        if bars:
            note = f"full width is {whose} time; the line is the project's target; less is better"
            panels.append(Panel(title, note, bars, limit=1.0))
    return draw(panels)


def short(title: str, limit: int = 31) -> str:
    return title if len(title) <= limit else f"{title[: limit - 1]}…"


def write(results: Results) -> None:
    results.save()
    MARKDOWN.write_text(markdown(results), encoding="utf-8")
    CHART.write_text(chart(results), encoding="utf-8")
