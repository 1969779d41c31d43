"""Worker threads at the end of the interpreter, and in the child of a fork."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import textwrap

import pytest

from pallasite._runtime import worker_threads
from pallasite._runtime.worker_threads import run_sync
from tests.support.asgi import STALL_SECONDS
from tests.worker_threads.threads import pool


def run_python(program: str, *options: str) -> str:
    """Run a program in an interpreter of its own and return its output, or fail with it."""
    command = [sys.executable, "-W", "error", *options, "-c", textwrap.dedent(program)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=STALL_SECONDS * 3)
    assert (done.returncode, done.stderr) == (0, ""), done.stderr
    return done.stdout


PROGRAM = """
    import asyncio, threading, time
    from pallasite.concurrency import run_in_threadpool
"""


def test_interpreter_does_not_wait_for_idle_threads() -> None:
    program = """
        loop = asyncio.new_event_loop()
        thread = loop.run_until_complete(run_in_threadpool(threading.current_thread))
        loop.close()
        assert thread.is_alive()
        started = time.monotonic()
        threading._register_atexit(lambda: print("exiting"))
        import atexit
        atexit.register(lambda: print(time.monotonic() - started < 5, thread.is_alive()))
    """
    assert run_python(textwrap.dedent(PROGRAM) + textwrap.dedent(program)) == "exiting\nTrue False\n"


def test_interpreter_waits_for_busy_threads() -> None:
    program = """
        started, exiting = threading.Event(), threading.Event()
        threading._register_atexit(exiting.set)

        def work():
            started.set()
            exiting.wait()
            print("finished")

        async def main():
            task = asyncio.create_task(run_in_threadpool(work))
            await asyncio.sleep(0)
            started.wait()
            task.cancel()

        asyncio.run(main())
        print("main thread finished")
    """
    output = run_python(textwrap.dedent(PROGRAM) + textwrap.dedent(program))
    assert output == "main thread finished\nfinished\n"


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork on this system")
def test_child_of_a_fork_starts_threads_of_its_own() -> None:
    program = """
        import os, warnings
        warnings.simplefilter("ignore", DeprecationWarning)  # a fork of a process with threads
        loop = asyncio.new_event_loop()

        def call(func, *args):
            return loop.run_until_complete(run_in_threadpool(func, *args))

        before = call(threading.get_ident)
        child = os.fork()
        if child == 0:
            assert call(int, "3") == 3
            loop.run_until_complete(loop.shutdown_asyncgens())
            os._exit(7)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 7
        assert call(threading.get_ident) == before
        loop.close()
        print("both")
    """
    assert run_python(textwrap.dedent(PROGRAM) + textwrap.dedent(program)) == "both\n"


def test_child_of_a_fork_has_no_idle_threads() -> None:
    async def main() -> None:
        await run_sync(int)
        found = await pool()
        assert len(found.idle) == 1
        worker_threads._stop_all()
        assert not found.idle
        worker_threads._forget_all()
        assert await pool() is not found

    asyncio.run(main())


def test_package_loads_no_queues_before_they_are_needed() -> None:
    program = """
        import sys
        import pallasite.applications
        print("queue" in sys.modules, "anyio._backends._asyncio" in sys.modules)
    """
    assert run_python(program) == "False False\n"
