#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Feeds tidy a small bad tree, where each rule must fire where expected, and a clean one."""
import os
import sys
import tempfile

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
sys.dont_write_bytecode = True
from tidy import Tidy  # noqa: E402

SPDX = "/* SPDX-License-Identifier: MIT */\n"
LONG_BODY = "void rt_long(void)\n{\n" + "    rt_step();\n" * 69 + "}\n"
FULL_BODY = "void rt_full(void)\n{\n" + "    rt_step();\n" * 68 + "}\n"

# path -> (content, rules that must fire there)
BAD = {
    "rt/base/up.c": (SPDX + '#include "sched/worker.h"\n', {"floor"}),
    "rt/base/bare.c": (SPDX + '#include "bare.h"\n', {"floor"}),
    "rt/attic/x.c": (SPDX, {"floor"}),
    "rt/runq/order.c": (SPDX + "int x = memory_order_relaxed;\n", {"door-atomic"}),
    "rt/runq/fence.c": (SPDX + "    atomic_thread_fence(o);\n", {"door-atomic"}),
    "rt/loop/poll.c": (SPDX + "    n = epoll_wait(fd, ev, 8, -1);\n", {"door-syscall"}),
    "rt/net/sock.c": (SPDX + "    return read (fd, p, n);\n", {"door-syscall"}),
    "rt/task/err.c": (SPDX + "int rt_f(void)\n{\n    return -errno;\n}\n", {"door-errno"}),
    "rt/task/long.c": (SPDX + LONG_BODY, {"function-size"}),
    "rt/task/brace.c": (SPDX + "int rt_f(void) {\n}\n", {"brace"}),
    "rt/task/wide.c": (SPDX + "int x" + " " * 100 + ";\n", {"line-size"}),
    "rt/task/tall.c": (SPDX + "int x;\n" * 601, {"file-size"}),
    "rt/task/copy.c": (SPDX + "    strcpy(a, b);\n", {"banned"}),
    "examples/jump.c": (SPDX + "    longjmp(env, 1);\n", {"banned"}),
    "rt/task/slashes.c": (SPDX + "int x; // why\n", {"comment"}),
    "rt/task/debt.c": (SPDX + "/* TO" "DO: later */\n", {"debt"}),
    "rt/task/free.c": ("int x;\n", {"spdx"}),
    "scripts/free": ("#!/bin/sh\necho\n", {"spdx"}),
    "rt/task/tabs.c": (SPDX + "\tint x;\n", {"space"}),
    "rt/task/half.c": (SPDX + "int a; /* pairs: AB1 -> rt_b */\n", {"pairs"}),
    "rt/task/mute.c": (SPDX + "int a; /* pairs: AB2 -> rt_b */\n"
                       "int b; /* pairs: AB2 <- rt_a */\n", {"pairs"}),
    "rt/task/dead.h": (SPDX, {"dead"}),
    "docs/place.md": ("see /home/me/notes\n", {"place"}),
    "docs/page.md": ("see `elsewhere.md`\n", {"place"}),
    "docs/gone.md": ("<!-- file: examples/gone.c -->\n```c\nint x;\n```\n", {"snippet"}),
    "docs/other.md": ("<!-- file: rt/base/sys.c -->\n```c\nint no;\n```\n", {"snippet"}),
    "docs/cpython-tests.md": ("| a | `test_is` |\n| b, c | `test_is`, `test_is_not` |\n"
                              "| d | because |\n", {"names"}),
    "docs/loose.md": ("<!-- file: rt/base/sys.c -->\nint no;\n", {"snippet"}),
}
GOOD = {
    "rt/base/atomic.h": (SPDX + "#define rt_f(p) atomic_load_explicit(p, memory_order_relaxed)\n"),
    "rt/base/sys.c": (SPDX + '#include "base/atomic.h"\nint rt_c(int fd)\n{\n'
                      "    return close(fd) < 0 ? -errno : 0;\n}\n"),
    "rt/task/full.c": (SPDX + "#include <errno.h>\n" + FULL_BODY),
    "rt/task/where.c": (SPDX + "int *skua_errno_location(void)\n{\n    return &errno;\n}\n"),
    "rt/task/words.c": (SPDX + 'const char *x = "strcpy( // errno read("; /* read(2), errno */\n'
                        "    p->read(p); s.close(s); rt_sys_read(fd);\n"),
    "rt/task/one.c": (SPDX + "int a; /* pairs: AB3 -> rt_b */\n"
                      "int b; /* pairs: AB3 <- rt_a */\n"),
    "tests/base/is_test.c": SPDX + "    T_TEST(test_is),\n",
    "docs/memory-order.md": "**AB3** holds.\n\nAs in `docs/memory-order.md`.\n",
    "docs/quote.md": ("<!-- file: rt/task/where.c -->\n```c\n"
                      "int *skua_errno_location(void)\n```\n"),
}


# Rules 1 and 2 have rows, 3 to 93 tests: then each one that is taken away is missed.
RULE_ROWS = ["| 1 | x | y |", "| 2, 1 | x | y |"]
RULE_TESTS = ["    T_TEST(test_rule_%d_is_kept)," % n for n in range(3, 94)]


def rule_offences(rows, tests, heading="## Rules that have no form in C"):
    with tempfile.TemporaryDirectory() as root:
        write(root, "docs/asyncio.md", "\n".join(["# x", "", "| 93 | z |", "", heading, ""] + rows +
                                                 ["", "## Rejected", "| 3 |", ""]))
        write(root, "tests/semantics/x_test.c", SPDX + "\n".join(tests) + "\n")
        return [text for _, _, rule, text in Tidy(root).run() if rule == "rules"]


def wrong_rules():
    """The number of cases in which the check of rules does not say what it should."""
    missing = "rule %d has neither a test nor a row"
    cases = [(rule_offences(RULE_ROWS, RULE_TESTS), []),
             (rule_offences(RULE_ROWS[:1], RULE_TESTS), [missing % 2]),
             (rule_offences(RULE_ROWS, RULE_TESTS[1:-1]), [missing % 3, missing % 93]),
             (rule_offences(RULE_ROWS, RULE_TESTS, "## Else"), [missing % 1, missing % 2]),
             (rule_offences(RULE_ROWS, RULE_TESTS + ["    T_TEST(test_rule_94_is_new),"]),
              ["rule 94 does not exist"])]
    for got, expected in cases:
        if got != expected:
            print("rules: expected %s, got %s" % (expected, got))
    return sum(got != expected for got, expected in cases)


def write(root, path, text):
    full = os.path.join(root, path)
    os.makedirs(os.path.dirname(full), exist_ok=True)
    with open(full, "w", encoding="utf-8") as f:
        f.write(text)


def main():
    with tempfile.TemporaryDirectory() as root:
        for path, (text, _) in BAD.items():
            write(root, path, text)
        for path, text in GOOD.items():
            write(root, path, text)
        found = {}
        for path, _, rule, text in Tidy(root).run():
            found.setdefault(path, {}).setdefault(rule, []).append(text)
    failures = wrong_rules()
    for path, expected in [(p, e) for p, (_, e) in BAD.items()] + [(p, set()) for p in GOOD]:
        got = found.get(path, {})
        if set(got) != expected:
            failures += 1
            print("%s: expected %s, got %s" % (path, sorted(expected), got))
    print("tidy_test: %d files, %d wrong" % (len(BAD) + len(GOOD), failures))
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
