#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""junit_counts.py JUNIT SKIPS FAILURES LINES: prints `PASSED FAILED SKIPPED` of a ctest run.

Appends `test: reason` of each skip to SKIPS and writes the last LINES lines of the output of each
failure to FAILURES. A skipped test gives its reason in the last line it printed.
"""
import sys
import xml.etree.ElementTree as xml


FIXTURES = ("model_build",)


def main():
    junit, skips, failures, shown = sys.argv[1:5]
    passed = failed = skipped = 0
    with open(skips, "a", encoding="utf-8") as skip, open(failures, "w", encoding="utf-8") as fail:
        for case in xml.parse(junit).getroot().iter("testcase"):
            name, status = case.get("name"), case.get("status")
            lines = (case.findtext("system-out") or "").strip().splitlines()
            if status == "run":
                passed += name not in FIXTURES
            elif case.find("skipped") is not None and status != "fail":
                note = case.find("skipped").get("message") or ""
                if not note.startswith("SKIP_RETURN_CODE"):
                    failed += 1
                    fail.write("%s: did not run: %s\n" % (name, note))
                    continue
                skipped += 1
                skip.write("%s: %s\n" % (name, lines[-1] if lines else "no reason given"))
            else:
                failed += 1
                note = case.find("failure")
                note = note.get("message") if note is not None else ""
                fail.write("%s: %s\n" % (name, note or "failed"))
                for line in lines[-int(shown):]:
                    fail.write("  %s\n" % line)
        if passed + failed + skipped == 0:
            failed = 1
            fail.write("there are no such tests\n")
    print(passed, failed, skipped)


if __name__ == "__main__":
    main()
