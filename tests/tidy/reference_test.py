#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Gives scripts/reference a small tree: its page, the check that it is current, what it refuses."""
import os
import subprocess
import sys
import tempfile

SCRIPT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "../../scripts/reference")
UMBRELLA = "#include <skua/door.h>\n"
HEADER = """/* SPDX-License-Identifier: MIT */
/* skua/door.h: doors that wait. asyncio: Lock.
 *
 *     skua_door_open(&d, 1.0);
 */
#ifndef SKUA_DOOR_H
#define SKUA_DOOR_H

#include <skua/base.h>

#ifdef __cplusplus
extern "C" {
#endif

/* ---- one door ---- */

/* A door, in your memory. */
typedef struct {
    uint64_t opaque[2];
} skua_door;

#define SKUA_DOOR_INIT   { { SKUA_DOOR_ZERO_ } }
#define SKUA_DOOR_ZERO_  0

/* Options of skua_door_open(). */
struct skua_door_opts {
    size_t size; /* the macro
                    fills it in */
};

/* Opens it for fn(arg) within .size bytes, see docs/doors.md and skua_door. Left short.
 * Not below 0 | 1.
 * May suspend. From: task. Returns 0 or -EINVAL, and
 * *ret_err. asyncio: Lock.acquire(). */
SKUA_API int skua_door_open_with(skua_door *door,
                                 double timeout) SKUA_CHECKED;

/* ---- looking ---- */

/* About all of these. Suspends. From: task. */

/* Is it old? asyncio has no such call. */
SKUA_API bool skua_door_is_old(const skua_door *door);

/* Is it open? Is it shut? Never suspend. From: any thread. asyncio: locked(). */
SKUA_API bool skua_door_is_open(const skua_door *door);
SKUA_API bool skua_door_is_shut(const skua_door *door);

#ifndef __cplusplus
/* int skua_door_open(skua_door *door, double timeout, [.size = 1]) */
#define skua_door_open(door, ...) \\
    skua_door_open_with((door), __VA_ARGS__)
#endif

#ifdef __cplusplus
}
#endif
#endif
"""

# What the page must hold, in this order.
WANTED = [
    "# skua/door.h\n\nDoors that wait. asyncio: Lock.\n",
    "```c\nskua_door_open(&d, 1.0);\n```",
    "| [`skua_door_open()`](#skua_door_open) | may suspend | `Lock.acquire()` |",
    "| [`skua_door_is_open()`](#skua_door_is_open), [`skua_door_is_shut()`](#skua_door_is_shut) |",
    "## One door\n",
    '<a id="skua_door"></a><a id="SKUA_DOOR_INIT"></a>\n\n### skua\\_door, SKUA\\_DOOR\\_INIT\n',
    "#define SKUA_DOOR_INIT\n```\n\nA door, in your memory.\n",
    "| `size_t size` | the macro fills it in |",
    "```c\nint skua_door_open(skua_door *door, double timeout, [.size = 1]);\n"
    "int skua_door_open_with(skua_door *door,\n                        double timeout)",
    "Opens it for `fn(arg)` within `.size` bytes, see [doors.md](../doors.md) and "
    "[`skua_door`](#skua_door). Left short.\n\nNot below 0 \\| 1.\n",
    "* May suspend.\n* From: task.\n* Returns 0 or `-EINVAL`, and `*ret_err`.\n"
    "* asyncio: `Lock.acquire()`.\n",
    "## Looking\n\nAbout all of these. Suspends. From: task.\n",
    "Is it old?\n\n* Suspends.\n* From: task.\n* asyncio has no such call.\n",
    "bool skua_door_is_open(const skua_door *door);\nbool skua_door_is_shut(",
    "Is it open? Is it shut?\n\n* Never suspend.\n* From: any thread.\n",
]

# A change of the header, and what --check says about it.
REFUSED = [
    ("May suspend. ", "", "skua_door_open: does it suspend?"),
    ("About all of these. Suspends. From: task.", "An essay.",
     "skua_door_is_old: from which threads"),
    (" asyncio: locked().", "", "skua_door_is_open: which call of asyncio does it answer to?"),
    ("Returns 0 or", "Says 0 or", "skua_door_open: what does it return?"),
    ("/* Options of skua_door_open(). */\n", "", "skua_door_opts: no comment"),
    ("size_t size; /* the macro\n                    fills it in */", "size_t size;",
     "skua_door_opts: no comment on its member size_t size"),
    ("Is it open?", "Is it ajar?", "door.md: not what the headers say; run scripts/reference"),
]


def write(root, path, text):
    full = os.path.join(root, path)
    os.makedirs(os.path.dirname(full), exist_ok=True)
    with open(full, "w", encoding="utf-8") as f:
        f.write(text)


def run(root, *options):
    done = subprocess.run([sys.executable, SCRIPT, "--root", root, *options], text=True,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False)
    return done.returncode, done.stdout


def pages(root):
    """Writes the pages and looks at them."""
    write(root, "docs/reference/gone.md", "of a header that is no more\n")
    code, out = run(root)
    if code != 0 or os.path.exists(os.path.join(root, "docs/reference/gone.md")):
        yield "it does not write: " + out
    with open(os.path.join(root, "docs/reference/door.md"), encoding="utf-8") as f:
        page = f.read()
    at = 0
    for text in WANTED:
        found = page.find(text, at)
        if found < 0:
            yield "not in the page, or not there: %r in %r" % (text, page[at:at + 600])
        at = max(at, found)
    if "ZERO_" in page:
        yield "a private name is in the page"


def checks(root):
    """--check, of what is right and of each thing that is wrong."""
    code, out = run(root, "--check")
    if code != 0:
        yield "a current page is refused: " + out
    for before, after, wanted in REFUSED:
        write(root, "include/skua/door.h", HEADER.replace(before, after))
        code, out = run(root, "--check")
        if code != 1 or wanted not in out:
            yield "%r: expected %r, got %r" % (after or before, wanted, out)
    write(root, "include/skua/door.h", HEADER)
    write(root, "include/skua/lost.h", HEADER)
    code, out = run(root, "--check")
    if code != 1 or "lost.h: include/skua.h does not bring it" not in out:
        yield "a header that the umbrella forgets passes: " + out


def main():
    with tempfile.TemporaryDirectory() as root:
        write(root, "include/skua.h", UMBRELLA)
        write(root, "include/skua/door.h", HEADER)
        wrong = list(pages(root)) + list(checks(root))
    for text in wrong:
        print(text)
    print("reference_test: %d wrong" % len(wrong))
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
