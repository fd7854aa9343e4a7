#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""The pages as a test: links lead somewhere, indexes and tables have all that they promise.

pages.py [ROOT]: prints one line per offence and exits 1 if there is any.
"""
import os
import re
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
sys.dont_write_bytecode = True
from tidy import Tidy  # noqa: E402

# (files, what in them; None: the file itself, the page that has each as code or as a link)
PROMISES = [
    (r"rt/", r'"(SKUA_[A-Z_]+)"', "docs/debugging.md"),
    (r"CMakeLists\.txt$", r"^(?:option|set)\((SKUA_\w+) (?:\"|.*CACHE)", "docs/install.md"),
    (r"docs/[^/]+\.md$", None, "docs/README.md"),
    (r"examples/\w+\.c$", None, "README.md"),
]
FENCE = re.compile(r"^```.*?^```", re.M | re.S)
LINK = re.compile(r"\]\(([^()\s]+)\)")


class Pages(Tidy):
    def run(self):
        self.names = self.files()
        self.known = set(self.names)
        self.folders = {name[:at] for name in self.names for at in range(len(name))
                        if name[at] == "/"}
        self.anchors_of = {}
        for path in self.names:
            self.check_promises(path)
            if path.endswith(".md"):
                self.check_links(path)
        return self.offences

    def check_promises(self, path):
        for where, pattern, page in PROMISES:
            if page not in self.known or not re.match(where, path):
                continue
            found = re.findall(pattern, self.read(path), re.M) if pattern else [path]
            text = self.read(page)
            for name in found:
                link = os.path.relpath(name, os.path.dirname(page) or ".")
                if name != page and "`%s`" % name not in text and "](%s)" % link not in text:
                    self.offend(path, 1, "promise", "%s is not in %s" % (name, page))

    def check_links(self, path):
        for number, line in enumerate(prose(self.read(path)).split("\n"), 1):
            for target in LINK.findall(line):
                if re.match(r"[a-z]+:", target):
                    continue
                page, _, anchor = target.partition("#")
                there = os.path.normpath(os.path.join(os.path.dirname(path), page))
                there = there if page else path
                if there not in self.known and there not in self.folders:
                    self.offend(path, number, "link", "leads nowhere: " + target)
                elif anchor and there.endswith(".md") and anchor not in self.anchors(there):
                    self.offend(path, number, "link", "no such heading: " + target)

    def anchors(self, page):
        """What a link to the page may name: its headings, as GitHub spells them, and its ids."""
        if page not in self.anchors_of:
            text = self.read(page)
            titles = re.findall(r"^#+ +(.*?) *$", FENCE.sub("", text), re.M)
            titles = [re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", title).lower() for title in titles]
            titles = [re.sub(r"[^\w\- ]", "", title).replace(" ", "-") for title in titles]
            self.anchors_of[page] = set(titles) | set(re.findall(r'<a id="([^"]+)">', text))
        return self.anchors_of[page]


def prose(text):
    """A page without its code, in as many lines."""
    text = FENCE.sub(lambda match: "\n" * match.group(0).count("\n"), text)
    return re.sub(r"(`+)[^`\n]+\1(?!`)", "", text)


def main():
    root = sys.argv[1] if len(sys.argv) > 1 else os.path.join(os.path.dirname(__file__), "../..")
    offences = Pages(os.path.abspath(root)).run()
    for path, line, rule, text in offences:
        print("%s:%d: %s: %s" % (path, line, rule, text))
    print("pages: %d offences" % len(offences))
    return 1 if offences else 0


if __name__ == "__main__":
    sys.exit(main())
