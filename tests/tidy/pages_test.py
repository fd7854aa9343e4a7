#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Feeds pages.py a small tree, where each rule must fire where expected and nowhere else."""
import os
import sys
import tempfile

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
sys.dont_write_bytecode = True
from pages import Pages  # noqa: E402

# path -> (content, rules that must fire there)
TREE = {
    "README.md": ("[the pages](docs/README.md) [tree](examples/tree.c)\n", set()),
    "CMakeLists.txt": ('option(SKUA_LEAF "A leaf" ON)\nset(SKUA_HIDDEN "x")\n'
                       'set(SKUA_ROOT "" CACHE STRING "A root")\n', {"promise"}),
    "docs/README.md": ("[a](debugging.md) [b](install.md) [c](links.md) [d](target.md)\n"
                       "[e](nowhere.md) [f](heading.md) [g](reference/)\n", set()),
    "docs/debugging.md": ("`SKUA_DEBUG`\n", set()),
    "docs/install.md": ("`SKUA_LEAF`\n", set()),
    "docs/target.md": ("# What `it` is: a_b\n\n<a id=\"name\"></a>\n\n## [Two](links.md) words\n",
                       set()),
    "docs/links.md": ("[a](target.md#what-it-is-a_b) [b](target.md#name) [c](../rt) [d](#here)\n"
                      "[e](https://localhost/x) `[f](nowhere.c)` [g](target.md#two-words)\n\n"
                      "## Here\n\n```c\n# No heading\nf[1](nowhere);\n```\n", set()),
    "docs/nowhere.md": ("[it](elsewhere/page.txt)\n", {"link"}),
    "docs/heading.md": ("[it](links.md#no-heading)\n", {"link"}),
    "docs/lost.md": ("A page that the index forgets.\n", {"promise"}),
    "docs/reference/x.md": ("The index of the reference has it.\n", set()),
    "examples/tree.c": ("int x;\n", set()),
    "examples/lost.c": ("int x;\n", {"promise"}),
    "examples/common/part.c": ("int x;\n", set()),
    "rt/base/known.c": ('const char *k = "SKUA_DEBUG";\n', set()),
    "rt/base/knob.c": ('const char *k = "SKUA_KNOB";\n', {"promise"}),
}


def main():
    with tempfile.TemporaryDirectory() as root:
        for path, (text, _) in TREE.items():
            full = os.path.join(root, path)
            os.makedirs(os.path.dirname(full), exist_ok=True)
            with open(full, "w", encoding="utf-8") as f:
                f.write(text)
        found = {}
        for path, _, rule, text in Pages(root).run():
            found.setdefault(path, {}).setdefault(rule, []).append(text)
    failures = 0
    for path, (_, expected) in TREE.items():
        got = found.get(path, {})
        if set(got) != expected:
            failures += 1
            print("%s: expected %s, got %s" % (path, sorted(expected), got))
    print("pages_test: %d files, %d wrong" % (len(TREE), failures))
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
