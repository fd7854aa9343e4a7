#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Is docs/asyncio-index.md complete, and does what it names exist?

Every public name of the installed asyncio, and of the methods of its classes, must stand in the
first column; so must what newer versions than the installed one have. Every skua_ name there and in
docs/asyncio.md must stand in a public header, except in rows whose second column is "planned".
"""
import glob
import os
import re
import sys

ROOT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "../..")
INDEX, GUIDE = "docs/asyncio-index.md", "docs/asyncio.md"

# What 3.11 does not have, or does not list in __all__.
LATER = """
TaskGroup TaskGroup.create_task TaskGroup.cancel Task.get_context
Handle.get_context TimerHandle.get_context
create_eager_task_factory eager_task_factory EventLoop Queue.shutdown QueueShutDown
AbstractServer.abort_clients AbstractServer.close_clients
Server.abort_clients Server.close_clients StreamWriter.start_tls
_AbstractEventLoopPolicy _DefaultEventLoopPolicy _get_event_loop_policy _set_event_loop_policy
FrameCallGraphEntry.frame FutureCallGraph.awaited_by FutureCallGraph.call_stack
FutureCallGraph.future
capture_call_graph format_call_graph print_call_graph FrameCallGraphEntry FutureCallGraph
future_add_to_awaited_by future_discard_from_awaited_by""".split()
# What objects have and classes do not show, and what asyncio has on Windows only.
HIDDEN = """
ProactorEventLoop IocpProactor WindowsProactorEventLoopPolicy WindowsSelectorEventLoopPolicy
AbstractEventLoop.slow_callback_duration Condition.acquire Condition.release Condition.locked
Process.pid Process.stdin Process.stdout Process.stderr Process.returncode""".split()


def read(path):
    with open(os.path.join(ROOT, path), encoding="utf-8") as f:
        return f.read()


def rows(path):
    """The tables' rows as (line number, cells)."""
    for number, line in enumerate(read(path).split("\n"), 1):
        cells = [cell.strip() for cell in line.split("|")[1:-1]]
        if cells and not re.fullmatch(r"-*", cells[0]) and "`" in cells[0]:
            yield number, cells


def methods(cls):
    """Each public attribute, as the names of the classes that may have its row."""
    for name in dir(cls):
        if not name.startswith("_"):
            owners = [c.__name__.lstrip("_") for c in cls.__mro__ if c.__module__.lstrip("_")
                      .startswith("asyncio") and hasattr(c, name)]
            yield name, owners


def missing(asyncio, known):
    public = {name for name in dir(asyncio)
              if isinstance(getattr(asyncio, name), type) and not name.startswith("_")}
    public = sorted(public | set(asyncio.__all__))
    for name in sorted({*public, *LATER, *HIDDEN}):
        if name not in known:
            yield name
    classes = [getattr(asyncio, name) for name in public]
    classes = [c for c in classes if isinstance(c, type) and not issubclass(c, BaseException)]
    for cls in classes + [asyncio.subprocess.Process]:
        for name, owners in methods(cls):
            if not any(owner + "." + name in known for owner in owners):
                yield cls.__name__ + "." + name


def offences(asyncio):
    known, exists = set(), set()
    for path in glob.glob(os.path.join(ROOT, "include/skua/*.h")):
        exists |= set(re.findall(r"\b(?:skua|SKUA)_\w+", read(path)))
    exists |= set(re.findall(r"`(SKUA_\w+)`", read("docs/debugging.md")))  # of the environment
    for path in (INDEX, GUIDE):
        for number, cells in rows(path):
            where = "%s:%d: " % (path, number)
            if path == INDEX:
                known |= {re.sub(r"\(.*", "", name) for name in re.findall(r"`([^`]+)`", cells[0])}
                if len(cells) != 3 or not cells[1] or cells[1] == "none" and not cells[2]:
                    yield where + "a row left blank"
            if cells[1].startswith("planned"):
                continue
            for name in re.findall(r"\b(?:skua|SKUA)_\w+", " ".join(cells)):
                if name not in exists:
                    yield where + "no public header has " + name
    for name in missing(asyncio, known):
        yield INDEX + ": no row for " + name


def main():
    try:
        import asyncio
        import asyncio.subprocess
    except ImportError as error:
        print("skipped: this Python has no asyncio (%s)" % error)
        return 77
    wrong = list(offences(asyncio))
    for text in wrong:
        print(text)
    print("asyncio_map_test: against Python %s, %d wrong" % (sys.version.split()[0], len(wrong)))
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
