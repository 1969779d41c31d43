"""The command line: ``python -m benches``."""

from __future__ import annotations

import argparse
import json
import sys
from dataclasses import asdict, replace
from fnmatch import fnmatch
from pathlib import Path

from benches import report
from benches.case import Case, has_module, load_cases
from benches.compare import OURS, QUICK, THEIRS, Measurement, Plan, run_case
from benches.instructions import DEFAULT_CASES, count_instructions
from benches.load import generator
from benches.results import DRESSED, SERVERS, Results, circumstances, rows_of
from benches.rivals import run_rivals
from benches.servers import ServerPlan, run_servers

PARTS = ["cases", "fastapi", "rivals", "servers", "dressed"]
DESCRIPTION = """Compare Pallasite with Starlette and its peers. Without arguments: everything but the instruction
counts, printed and not written. Answers are compared before anything is timed; a difference ends the run."""


def main(arguments: list[str] | None = None) -> int:
    options = parse(arguments)
    cases = [case for case in load_cases().values() if chosen(case, options)]
    if options.list:
        for case in cases:
            print(f"{case.name:28} {case.group:9} {case.title}")
        return 0
    results = Results()
    parts = set(
        options.part or (["cases", "fastapi"] if options.only else ["cases", "fastapi", "rivals", "servers", "dressed"])
    )
    if options.instructions:
        parts = {"instructions"} | set(options.part or [])
    if "cases" in parts:
        cases_part(results, "cases", [case for case in cases if not case.apart], plan_of(options))
    if "fastapi" in parts:
        cases_part(results, "fastapi", [case for case in cases if case.apart], plan_of(options).in_slices())
    if "rivals" in parts:
        rivals_part(results, plan_of(options))
    if "servers" in parts:
        servers_part(results, options)
    if "dressed" in parts:
        dressed_part(results, options)
    if "instructions" in parts:
        instructions_part(results, [case.name for case in cases] if options.only else list(DEFAULT_CASES))
    if options.json:
        text = json.dumps(asdict(results), indent=1)
        if options.json == "-":
            print(text)
        else:
            Path(options.json).write_text(text + "\n", encoding="utf-8")
    if options.write:
        report.write(merged(Results.load(), results))
    return verdict(results, options)


def parse(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser("python -m benches", description=DESCRIPTION)
    parser.add_argument("--only", action="append", metavar="NAME", help="cases by name or pattern (last-of-*)")
    parser.add_argument("--part", action="append", choices=list(report.PARTS), help="only this part of the comparison")
    parser.add_argument("--rounds", type=int, help="rounds of each comparison (15 in one process, 3 end to end)")
    parser.add_argument("--seconds", type=float, default=3, help="load on each page of each server (default 3)")
    parser.add_argument("--quick", action="store_true", help="rough numbers in little time, without the slow cases")
    parser.add_argument("--instructions", action="store_true", help="count instructions with valgrind instead")
    parser.add_argument("--json", metavar="FILE", help="write the numbers there, - for the terminal")
    parser.add_argument("--write", action="store_true", help="write RESULTS.md, results.svg and results.json")
    parser.add_argument("--list", action="store_true", help="name the cases and end")
    parser.add_argument(
        "--check", metavar="FILE", help="fail if a share grew against this earlier --json or results.json"
    )
    parser.add_argument(
        "--tolerance", type=float, default=0.25, help="growth that --check allows (default 0.25: 25 %%)"
    )
    parser.add_argument("--strict", action="store_true", help="fail if a target is missed")
    return parser.parse_args(arguments)


def plan_of(options: argparse.Namespace) -> Plan:
    plan = QUICK if options.quick else Plan()
    return replace(plan, rounds=options.rounds) if options.rounds else plan


def chosen(case: Case, options: argparse.Namespace) -> bool:
    if options.only:
        return any(fnmatch(case.name, pattern) for pattern in options.only)
    return not (options.quick and case.slow)


def cases_part(results: Results, part: str, cases: list[Case], plan: Plan) -> None:
    measured: dict[str, Measurement] = {}
    for case in cases:
        if case.missing:
            print(f"{case.title[:58]:58} not measured: no {', '.join(case.missing)} yet")
            continue
        measured[case.name] = run_case(case, plan)
        print(report.terminal_line(rows_of({case.name: measured[case.name]})[0]), flush=True)
    rows = rows_of(measured)
    for row in rows[len(measured) :]:
        print(report.terminal_line(row))
    results.cases += rows
    if rows:
        results.circumstances[part] = circumstances()


def rivals_part(results: Results, plan: Plan) -> None:
    results.rivals = {request: measurement.best for request, measurement in run_rivals(plan).items()}
    results.circumstances["rivals"] = circumstances()
    for request, times in results.rivals.items():
        print(f"\n{request}, in one process")
        for name, seconds in sorted(times.items(), key=lambda pair: pair[1]):
            share = report.share_text(seconds / times[THEIRS])
            print(f"  {report.NAMES[name]:20} {report.time_text(seconds):>9}  {share:>6} of Starlette's")


def servers_part(results: Results, options: argparse.Namespace) -> None:
    plan = (
        ServerPlan(rounds=1, seconds=1, warm_up_seconds=0.5) if options.quick else ServerPlan(seconds=options.seconds)
    )
    if options.rounds:
        plan = replace(plan, rounds=options.rounds)
    results.servers = run_servers(plan)
    results.circumstances["servers"] = {
        **circumstances(),
        "servers": circumstances(SERVERS)["packages"],
        "load": generator(),
    }
    print()
    print("\n".join(report.server_table(results)))


def dressed_part(results: Results, options: argparse.Namespace) -> None:
    if not has_module("opentelemetry.sdk"):
        print("dressed applications not measured: no opentelemetry-sdk")
        return
    from benches.dressed.run import DressedPlan, run_dressed

    plan = DressedPlan(rounds=1, seconds=2) if options.quick else DressedPlan()
    results.dressed = run_dressed(replace(plan, rounds=options.rounds) if options.rounds else plan)
    results.circumstances["dressed"] = {**circumstances(), "servers": circumstances(DRESSED)["packages"]}
    print("\n".join(report.dressed_table(results)))


def instructions_part(results: Results, names: list[str]) -> None:
    results.instructions = count_instructions(names)
    results.circumstances["instructions"] = circumstances()
    for name, sides in results.instructions.items():
        ours, theirs = sides[OURS], sides[THEIRS]
        print(f"{name:28} {ours:>12,.0f} instructions against {theirs:>12,.0f}: {report.share_text(ours / theirs)}")


def merged(old: Results, new: Results) -> Results:
    """What `new` has measured, and of the rest what `old` had: parts as a whole, cases one by one."""
    rows = {row.name: row for row in [*old.cases, *new.cases]}
    order = {name: number for number, name in enumerate(load_cases())}
    return Results(
        cases=sorted(rows.values(), key=lambda row: order.get(row.name, len(order))),
        rivals=new.rivals or old.rivals,
        servers=new.servers or old.servers,
        dressed=new.dressed or old.dressed,
        instructions=old.instructions | new.instructions,
        circumstances=old.circumstances | new.circumstances,
    )


def verdict(results: Results, options: argparse.Namespace) -> int:
    """Exit status: 1 if `--strict` or `--check` finds something."""
    short = [row for row in results.cases if row.met is False]
    if short:
        print(f"\nshort of the target: {', '.join(row.name for row in short)}", file=sys.stderr)
    slower = []
    if options.check:
        earlier = shares(Results.load(Path(options.check)))
        now = {name: share for name, share in shares(results).items() if name in earlier}
        slower = [name for name, share in now.items() if share > earlier[name] * (1 + options.tolerance)]
        for name in slower:
            print(f"slower than before: {name}, share {now[name]:.3f} after {earlier[name]:.3f}", file=sys.stderr)
    return 1 if slower or (options.strict and short) else 0


def shares(results: Results) -> dict[str, float]:
    """What `--check` compares. Shares carry over between machines, seconds do not; instructions are free of noise."""
    counted = {f"{name}, instructions": sides[OURS] / sides[THEIRS] for name, sides in results.instructions.items()}
    return {row.name: row.share for row in results.cases} | counted


if __name__ == "__main__":
    sys.exit(main())
