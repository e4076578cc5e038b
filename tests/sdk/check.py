"""Named checks, and a runner that prints one line for each and a total at the end."""

import asyncio
import inspect
import pathlib
import signal
import sys
import time
import traceback

SECONDS = 60  # for one check: a gateway that hangs must fail, not block
CHECKS = []


def check(title):
    """Registers a function of one argument (the running gateway) as a check; async functions too."""

    def keep(function):
        group = function.__module__.removeprefix("test_")
        CHECKS.append((f"{group}: {title}", function))
        return function

    return keep


def run(subject, words=(), on_failure=lambda: None):
    """Runs the checks whose title holds every word. Returns the exit code."""
    signal.signal(signal.SIGALRM, _too_long)
    passed = failed = 0
    for title, function in CHECKS:
        if not all(word in title for word in words):
            continue
        start = time.monotonic()
        problem = _problem(function, subject)
        print(f"{'FAIL' if problem else 'ok  '} {(time.monotonic() - start) * 1000:7.0f} ms  {title}", flush=True)
        if problem:
            print(problem, file=sys.stderr, flush=True)
        passed, failed = passed + (not problem), failed + bool(problem)
    if failed:
        on_failure()
    print(f"{passed} passed, {failed} failed", flush=True)
    return 0 if passed and not failed else 1


def _problem(function, subject):
    signal.alarm(SECONDS)
    try:
        result = function(subject)
        if inspect.isawaitable(result):
            asyncio.run(_await(result))
        return None
    except Exception as error:  # whatever a check throws is its result
        return _told(error)
    finally:
        signal.alarm(0)


def _told(error):
    """Where in the tests it happened, and the error; not the SDK's own dozen of frames."""
    frames = [frame for frame in traceback.extract_tb(error.__traceback__) if "site-packages" not in frame.filename]
    where = [f"{pathlib.Path(frame.filename).name}:{frame.lineno}  {frame.line}" for frame in frames[1:]]
    what = "".join(traceback.format_exception_only(error)).strip()
    return "\n".join("       " + line for line in [*where[-4:], *what[:1200].splitlines()])


async def _await(result):
    return await result


def _too_long(_signal, _frame):
    raise TimeoutError(f"no end after {SECONDS} s")
