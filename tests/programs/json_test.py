# SPDX-License-Identifier: MIT
"""Goal: what skua-bench and skua-stress write as JSON is what their pages list, no key more or
less; exit statuses and messages are the documented ones. Method: the programs, run short, and the
pages."""
import argparse
import json
import os
import re
import stat
import subprocess
import sys
import tempfile
import unittest

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
OPTIONS = argparse.Namespace(bindir="", program="")

PEER = """#!/bin/sh
case "$1:$3" in
--list:) echo yield ;;
yield:1) echo "yield 1000 1000 1" ;;
*) exit 77 ;;
esac
"""


def page(name):
    with open(os.path.join(ROOT, "docs", name), encoding="utf-8") as f:
        return f.read()


def keys_in(text):
    return set(re.findall(r"`([a-z_0-9]+)`", text))


def run(program, *args):
    return subprocess.run([os.path.join(OPTIONS.bindir, program), *args], capture_output=True,
                          text=True, timeout=100, check=False)


def run_with_json(program, *args):
    with tempfile.TemporaryDirectory() as directory:
        path = os.path.join(directory, "out.jsonl")
        done = run(program, "--quiet", "--json", path, *args)
        with open(path, encoding="utf-8") as f:
            return done, [json.loads(line) for line in f]


class Bench(unittest.TestCase):
    def documented(self):
        section = page("benchmarks.md").split("\n## JSON\n")[1].split("\n## ")[0]
        section = " ".join(section.split())
        always, peers = section.split("Of a peer", 1)
        both, many = always.split("on the line of N workers", 1)
        return keys_in(both), keys_in(many), keys_in(peers)

    def test_lines_have_the_documented_keys(self):
        both, many, peers = self.documented()
        with tempfile.TemporaryDirectory() as directory:
            path = os.path.join(directory, "other")
            with open(path, "w", encoding="ascii") as f:
                f.write(PEER)
            os.chmod(path, os.stat(path).st_mode | stat.S_IXUSR)
            done, lines = run_with_json("skua-bench", "--pairs", "1", "--seconds", "0.01",
                                        "--workers", "2", "--peers", directory, "yield", "echo")
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertIn("peer libuv left out", done.stderr)
        seen = {(line["bench"], line["impl"], line["workers"]): line for line in lines}
        self.assertEqual(set(seen), {("yield", "skua", 1), ("yield", "skua", 2),
                                     ("echo", "skua", 1), ("echo", "skua", 2),
                                     ("yield", "other", 1)})
        for (_, impl, workers), line in seen.items():
            want = both | (many if workers == 2 else set()) | (peers if impl != "skua" else set())
            self.assertEqual(set(line), want)
            self.assertIn(line["better"], ("lower", "higher"))
            self.assertGreater(line["median"], 0)
            self.assertEqual(line["n"], 1)
        self.assertEqual(seen["yield", "other", 1]["median"], 1000)

    def test_every_row_is_on_the_page(self):
        rows = [line.split()[0] for line in run("skua-bench", "--list").stdout.splitlines()]
        named = keys_in(page("benchmarks.md"))
        self.assertEqual([row for row in rows if row not in named], [])
        self.assertEqual(len(rows), len(set(rows)))

    def test_an_unknown_row_is_refused(self):
        self.assertEqual(run("skua-bench", "no_such_row").returncode, 2)

    def test_a_peer_that_breaks_is_a_failure(self):
        with tempfile.TemporaryDirectory() as directory:
            path = os.path.join(directory, "broken")
            with open(path, "w", encoding="ascii") as f:
                f.write("#!/bin/sh\n[ $1 = --list ] && echo yield && exit 0\nexit 3\n")
            os.chmod(path, os.stat(path).st_mode | stat.S_IXUSR)
            done = run("skua-bench", "--pairs", "1", "--seconds", "0.01", "--workers", "1",
                       "--peers", directory, "yield")
        self.assertEqual(done.returncode, 1)
        self.assertIn("broken ended with status 3", done.stderr)


class Stress(unittest.TestCase):
    def test_lines_have_the_documented_keys(self):
        cases = ("timers", "restarts")
        row = next(line for line in page("stress.md").splitlines() if "`--json FILE`" in line)
        want = keys_in(row.split("|")[2])
        args = [word for case in cases for word in ("--case", case)]
        done, lines = run_with_json("skua-stress", "--iterations", "2", "--workers", "1,2",
                                    "--seed", "5", *args)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertEqual([(line["case"], line["workers"]) for line in lines],
                         [(case, w) for w in (1, 2) for case in cases])
        for line in lines:
            self.assertEqual(set(line), want)
            self.assertEqual((line["seed"], line["rounds"], line["violations"]), (5, 2, 0))
            self.assertGreater(line["ops"], 0)

    def test_every_case_is_on_the_page(self):
        names = [line.split()[0] for line in run("skua-stress", "--list").stdout.splitlines()]
        named = keys_in(page("stress.md"))
        self.assertEqual([name for name in names if name not in named], [])

    def test_an_unknown_case_is_refused(self):
        self.assertEqual(run("skua-stress", "--case", "no_such_case").returncode, 2)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--bindir", required=True)
    parser.add_argument("program", choices=("Bench", "Stress"))
    parser.parse_args(namespace=OPTIONS)
    unittest.main(argv=[sys.argv[0], OPTIONS.program])


if __name__ == "__main__":
    main()
