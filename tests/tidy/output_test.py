#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""What a page says that an example prints is what the example must print.

In the pages, a ```text block right behind the code of a whole example is its output. It has to
match tests/examples/expected, with which the example itself is compared. Blocks that begin with a
prompt show a session, and examples without an expected file of their name are left out.
"""
import glob
import os
import re
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.join(HERE, "../..")
sys.dont_write_bytecode = True
sys.path.insert(0, os.path.join(HERE, "../examples"))
from run import EXPECTED, Failure, compare  # noqa: E402

SHOWN = re.compile(r"^<!-- file: examples/(\w+)\.c -->\n```c\n.*?^```\n\n```text\n(.*?)^```",
                   re.M | re.S)


def main():
    seen = wrong = 0
    for path in sorted(glob.glob(os.path.join(ROOT, "*.md"))
                       + glob.glob(os.path.join(ROOT, "docs/*.md"))):
        with open(path, encoding="utf-8") as f:
            text = f.read()
        for name, output in SHOWN.findall(text):
            if output.startswith("$") or not (EXPECTED / (name + ".txt")).exists():
                continue
            seen += 1
            try:
                compare(name, output, 1.0)
            except Failure as failure:
                wrong += 1
                print("%s: the output of %s: %s" % (os.path.relpath(path, ROOT), name, failure))
    print("output_test: %d outputs in the pages, %d wrong" % (seen, wrong))
    return 1 if wrong or not seen else 0


if __name__ == "__main__":
    sys.exit(main())
