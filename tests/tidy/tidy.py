#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""The style of the house as a test: floors, doors, sizes, banned calls, memory order, rules, docs.

tidy.py [ROOT]: prints one line per offence and exits 1 if there is any.
"""
import os
import re
import subprocess
import sys

FLOORS = ["base", "runq", "fiber", "task", "loop", "sched", "sync", "aio", "net", "obs"]
LINE_MAX, FUNCTION_MAX, FILE_MAX = 100, 70, 600
C_LIKE = (".c", ".h", ".S", ".cpp")
SOURCES = C_LIKE + (".py", ".sh", ".cmake")
OURS = ("rt/", "include/", "examples/", "bench/", "tests/")

ATOMIC_DOOR = "rt/base/atomic.h"
SYSCALL_DOOR = ("rt/base/sys.c", "rt/base/sys_net.c", "rt/base/sys_file.c",
                "rt/base/sys_child.c")
ERRNO_DOORS = (*SYSCALL_DOOR, "rt/base/sys_door.h", "rt/fiber/ctx.c")
ERRNO_FUNCTION = "skua_errno_location"

SYSCALLS = """
read write readv writev pread pwrite recv recvfrom recvmsg recvmmsg send sendto sendmsg
sendmmsg sendfile splice accept accept4 connect socket socketpair bind listen shutdown close open
openat pipe pipe2 dup dup2 dup3 fcntl ioctl poll ppoll select eventfd timerfd_create signalfd
mmap munmap mprotect madvise pthread_create pthread_join pthread_kill pthread_sigmask sigaction
sigaltstack syscall fork execve kill nanosleep clock_nanosleep clock_gettime
fsync fdatasync ftruncate lseek rename unlink mkdir rmdir opendir readdir closedir
pthread_detach posix_spawn posix_spawnp waitid waitpid
getaddrinfo freeaddrinfo getnameinfo if_nametoindex if_indextoname""".split()
CLOCK_DOOR = ("rt/base/clock.c", "clock_gettime")  # the clock is a seam of its own
SYSCALL = re.compile(r"(?<![\w.>])(?:%s|epoll_\w+)\s*\(" % "|".join(SYSCALLS))
BANNED = """strcpy strcat sprintf vsprintf gets strtok rand srand alloca longjmp siglongjmp
pthread_self usleep""".split()
BANNED = re.compile(r"(?<![\w.>])(%s)\s*\(" % "|".join(BANNED))
ATOMIC = re.compile(r"\bmemory_order_\w+|\batomic_\w+\s*\(|\b__(?:atomic|sync)_\w+\s*\(")
DEBT = re.compile(r"\b(?:TO" r"DO|FIX" r"ME|XX" r"X)\b")
PLACES = re.compile(r"(?<![\w.~$}>])/(?:home|Users|wor[k]|root)/[\w.]")
PAIRS = re.compile(r"pairs:\s*([\w-]*\w)\s*(->|<-)")
SNIPPET = re.compile(r"^<!-- file: (\S+) -->\s*\n```(?:c|cmake|sh)\n(.*?)^```", re.M | re.S)
# The rules of asyncio: each has a test that carries its number, or a row that says why there is
# none in C.
RULES = 93
RULE_TEST = re.compile(r"\bT_TEST\(test_rule_(\d+)_\w+\)")
RULE_PAGE, RULE_TABLE = "docs/asyncio.md", "## Rules that have no form in C"
RULE_ROW = re.compile(r"^\| (\d+(?:, \d+)*) \|", re.M)
# What this page names between backquotes in its tables are registered tests.
NAMES_PAGE = "docs/cpython-tests.md"
NAMES_ROW = re.compile(r"^\| [^|`]+ \| (`.*) \|$", re.M)
REGISTERED = re.compile(r"\b(?:T_TEST|NET_TEST|cmocka_unit_test\w*)\(\s*(\w+)")
PAGE = re.compile(r"(?<![\w/.*-])([\w./-]+\.md)\b")


class Tidy:
    def __init__(self, root):
        self.root = root
        self.offences = []
        self.pairs = {}

    def offend(self, path, line, rule, text):
        self.offences.append((path, line, rule, text))

    def files(self):
        """What git would commit, so that neither builds nor scratch files count."""
        try:
            out = subprocess.run(
                ["git", "-C", self.root, "ls-files", "-co", "--exclude-standard", "-z", "."],
                check=True, capture_output=True).stdout.decode()
            names = [n for n in out.split("\0") if n]
        except (OSError, subprocess.CalledProcessError):
            names = [os.path.relpath(os.path.join(at, f), self.root)
                     for at, _, found in os.walk(self.root) for f in found]
            names = [n for n in names if not re.match(r"(?:\.git|build)/|.*__pycache__/", n)]
        return sorted(n for n in names if os.path.isfile(os.path.join(self.root, n)))

    def read(self, path):
        with open(os.path.join(self.root, path), encoding="utf-8", errors="replace") as f:
            return f.read()

    def run(self):
        names = self.files()
        known = set(names)
        for path in names:
            text = self.read(path)
            if "\0" in text:
                continue
            self.check_text(path, text, known)
            if is_source(path, text):
                self.check_source(path, text)
            if path.endswith(C_LIKE) and path.startswith(OURS):
                self.check_c(path, text)
        self.check_pairs()
        self.check_headers(names)
        self.check_rules(names)
        self.check_names(names)
        return self.offences

    # ---- every text file ----

    def check_text(self, path, text, known):
        if path.startswith("tests/tidy/"):
            return
        for number, line in enumerate(text.split("\n"), 1):
            if DEBT.search(line):
                self.offend(path, number, "debt", line.strip())
            if PLACES.search(line):
                self.offend(path, number, "place", "a path of somewhere else: " + line.strip())
            for page in PAGE.findall(line):
                here = os.path.normpath(os.path.join(os.path.dirname(path), page))
                if not known & {os.path.normpath(page), here, "docs/" + page}:
                    self.offend(path, number, "place", "no such page: " + page)
        if path.endswith(".md"):
            self.check_snippets(path, text, known)

    def check_snippets(self, path, text, known):
        for match in SNIPPET.finditer(text):
            name, body = match.groups()
            number = text.count("\n", 0, match.start()) + 1
            if name not in known:
                self.offend(path, number, "snippet", "no such file: " + name)
            elif body.strip("\n") not in self.read(name):
                self.offend(path, number, "snippet", "differs from " + name)
        marked = len(re.findall(r"^<!-- file: ", text, re.M))
        if marked != len(SNIPPET.findall(text)):
            self.offend(path, 1, "snippet", "a file mark without a code block after it")

    # ---- sources ----

    def check_source(self, path, text):
        lines = text.split("\n")
        if not any("SPDX-License-Identifier: MIT" in line for line in lines[:3]):
            self.offend(path, 1, "spdx", "no SPDX line at the top")
        if len(lines) - 1 > FILE_MAX:
            self.offend(path, len(lines), "file-size", "%d lines" % (len(lines) - 1))
        for number, line in enumerate(lines, 1):
            if len(line) > LINE_MAX:
                self.offend(path, number, "line-size", "%d columns" % len(line))
            if "\t" in line or line != line.rstrip():
                self.offend(path, number, "space", "tab or trailing space")

    def check_c(self, path, text):
        for number, line in enumerate(text.split("\n"), 1):
            for label, end in PAIRS.findall(line):
                if path.startswith("rt/") and path != ATOMIC_DOOR:
                    self.pairs.setdefault(label, {}).setdefault(end, (path, number))
        code = strip(text)
        if not path.endswith(".S"):
            for number, line in enumerate(code.split("\n"), 1):
                if "//" in line and not path.startswith("tests/model/"):
                    self.offend(path, number, "comment", "a // comment")
                match = BANNED.search(line)
                if match and not path.startswith("tests/") and path not in SYSCALL_DOOR:
                    self.offend(path, number, "banned", match.group(1))
            self.check_functions(path, code)
        if path.startswith("rt/"):
            self.check_floor(path, text)
            self.check_doors(path, code)

    def check_functions(self, path, code):
        """A body runs from a brace in the first column after a parameter list to the next one."""
        start, before = None, ""
        for number, line in enumerate(code.split("\n"), 1):
            if line.startswith("{") and before.rstrip().endswith(")"):
                start = number
            elif line.startswith("}") and start:
                if number - start + 1 > FUNCTION_MAX:
                    self.offend(path, start, "function-size", "%d lines" % (number - start + 1))
                start = None
            elif re.match(r"[a-z][^=;#]*\)\s*\{$", line):
                self.offend(path, number, "brace", "the brace of a function has its own line")
            if line.strip():
                before = line

    def check_floor(self, path, text):
        parts = path.split("/")
        if len(parts) != 3 or parts[1] not in FLOORS:
            self.offend(path, 1, "floor", "not on a floor of rt/")
            return
        for number, line in enumerate(text.split("\n"), 1):
            match = re.match(r'\s*#\s*include\s+"([^"]+)"', line)
            if not match or re.match(r"skua[./]", match.group(1)):
                continue
            floor = match.group(1).split("/")[0]
            if floor in FLOORS and FLOORS.index(floor) > FLOORS.index(parts[1]):
                self.offend(path, number, "floor", "looks up to " + match.group(1))
            elif floor not in FLOORS and path != ATOMIC_DOOR:
                self.offend(path, number, "floor", "write the floor: " + match.group(1))

    def check_doors(self, path, code):
        function = None
        for number, line in enumerate(code.split("\n"), 1):
            match = re.match(r"\w.*?(\w+)\(", line)
            if match and not line.endswith(";"):
                function = match.group(1)
            if path != ATOMIC_DOOR and ATOMIC.search(line):
                self.offend(path, number, "door-atomic", line.strip())
            match = SYSCALL.search(line)
            door = path in SYSCALL_DOOR or path == CLOCK_DOOR[0] and CLOCK_DOOR[1] in line
            if match and not door and not path.endswith(".S"):
                self.offend(path, number, "door-syscall", match.group(0) + ")")
            inside = path in ERRNO_DOORS or function == ERRNO_FUNCTION
            if not inside and re.search(r"\berrno\b|__errno_location", line):
                if not line.lstrip().startswith("#include"):
                    self.offend(path, number, "door-errno", line.strip())

    # ---- the whole tree ----

    def check_pairs(self):
        page = ""
        if os.path.exists(os.path.join(self.root, "docs/memory-order.md")):
            page = self.read("docs/memory-order.md")
        for label, ends in sorted(self.pairs.items()):
            path, number = next(iter(ends.values()))
            for end in ("->", "<-"):
                if end not in ends:
                    self.offend(path, number, "pairs", "%s has no %s end" % (label, end))
            if not re.search(r"^#+.*\b%s\b|\*\*[^*\n]*\b%s\b" % (label, label), page, re.M):
                self.offend(path, number, "pairs", "docs/memory-order.md says nothing of " + label)

    def check_headers(self, names):
        included = set()
        for path in names:
            if path.endswith(C_LIKE):
                included |= set(re.findall(r'#\s*include\s+"([^"]+)"', self.read(path)))
        for path in names:
            if path.startswith("rt/") and path.endswith(".h") and path[3:] not in included:
                self.offend(path, 1, "dead", "no file includes this header")

    def check_rules(self, names):
        if RULE_PAGE not in names:
            return
        page = self.read(RULE_PAGE)
        head, _, table = page.partition("\n%s\n" % RULE_TABLE)
        rows = RULE_ROW.findall(table.partition("\n## ")[0])
        answered = {int(n) for row in rows for n in row.split(",")}
        for path in names:
            if not path.startswith("tests/semantics/"):
                continue
            for match in RULE_TEST.finditer(self.read(path)):
                answered.add(int(match.group(1)))
        for rule in sorted(set(range(1, RULES + 1)) ^ answered):
            known = "has neither a test nor a row" if rule <= RULES else "does not exist"
            self.offend(RULE_PAGE, head.count("\n") + 2, "rules", "rule %d %s" % (rule, known))

    def check_names(self, names):
        if NAMES_PAGE not in names:
            return
        tests = set()
        for path in names:
            if path.startswith("tests/") and path.endswith("_test.c"):
                tests |= set(REGISTERED.findall(self.read(path)))
        page = self.read(NAMES_PAGE)
        for row in NAMES_ROW.finditer(page):
            for name in re.findall(r"`(\w+)`", row.group(1)):
                if name not in tests:
                    number = page.count("\n", 0, row.start()) + 1
                    self.offend(NAMES_PAGE, number, "names", "no such test: " + name)


def is_source(path, text):
    if path.endswith(SOURCES) or os.path.basename(path) == "CMakeLists.txt":
        return True
    return text.startswith("#!")


def strip(text):
    """The code without comments and without what stands in quotes; line numbers stay."""
    pattern = r'/\*.*?\*/|"(?:\\.|[^"\\\n])*"|\'(?:\\.|[^\'\\\n])+\''

    def blank(match):
        piece = match.group(0)
        if piece.startswith("/*"):
            return re.sub(r"[^\n]+", " ", piece)
        return piece[0] + piece[-1]

    return re.sub(pattern, blank, text, flags=re.S)


def main():
    root = sys.argv[1] if len(sys.argv) > 1 else os.path.join(os.path.dirname(__file__), "../..")
    offences = Tidy(os.path.abspath(root)).run()
    for path, line, rule, text in offences:
        print("%s:%d: %s: %s" % (path, line, rule, text))
    print("tidy: %d offences" % len(offences))
    return 1 if offences else 0


if __name__ == "__main__":
    sys.exit(main())
