"""What the tests of the house's own rules share: the tracked files, the layers, the count.

Each program prints a failure as `file:line: what to do` and ends with `N passed, N failed`."""
import os
import re
import subprocess
import sys
from collections import namedtuple

TOP = os.path.realpath(os.path.join(os.path.dirname(__file__), "..", ".."))
INCLUDE_ROOTS = ["client", "broker", "include", "."]

Layer = namedtuple("Layer", "name folder kind level")


class Count:
    """Counts what passed and failed; end() prints the sum and gives the exit status."""

    def __init__(self):
        self.passed = self.failed = 0

    def that(self, complaints):
        """One thing looked at: it passed if there is nothing to complain about."""
        complaints = list(complaints)
        for complaint in complaints:
            print(complaint)
        if complaints:
            self.failed += 1
        else:
            self.passed += 1

    def refuses(self, what, complaints):
        """Something wrong on purpose: the test itself must be able to fail."""
        self.that([] if list(complaints) else [f"{sys.argv[0]}:1: does not notice {what}"])

    def end(self):
        print(f"{self.passed} passed, {self.failed} failed")
        sys.exit(1 if self.failed or not self.passed else 0)


def tracked(*endings):
    """Paths, relative to TOP, of the files git tracks or would (untracked, not ignored)."""
    command = ["git", "-C", TOP, "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    out = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    paths = sorted(set(out.split("\0")) - {""})
    return [p for p in paths if os.path.isfile(os.path.join(TOP, p))
            and (not endings or p.endswith(endings))]


def read(path):
    with open(os.path.join(TOP, path), encoding="utf-8", errors="replace") as file:
        return file.read()


def read_layers(text):
    """The table at the end of broker/LAYERS, low to high."""
    rows = re.split(r"^layer +folder +kind\n", text, flags=re.M)[1].splitlines()
    fields = [row.split() for row in rows if row.strip()]
    return [Layer(*row, level) for level, row in enumerate(fields)]


def layers():
    return read_layers(read("broker/LAYERS"))
