#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""demo_report.py STRESS ROWS JSON: a line on the stress run; the whole demo into JSON, if named."""
import json
import sys


def main():
    stress_path, rows_path, out = sys.argv[1:4]
    with open(stress_path, encoding="utf-8") as f:
        stress = [json.loads(line) for line in f if line.strip()]
    if not stress:
        print("it reported no case")
        return 1
    violations = sum(row["violations"] for row in stress)
    print("%d violations in %.1fM operations, %d cases" % (
        violations, sum(row["ops"] for row in stress) / 1e6, len(stress)))
    if out:
        with open(rows_path, encoding="utf-8") as f:
            measured = json.load(f)
        with open(out, "w", encoding="utf-8") as f:
            json.dump(dict(measured, stress=stress), f, indent=1)
            f.write("\n")
    return 1 if violations else 0


if __name__ == "__main__":
    sys.exit(main())
