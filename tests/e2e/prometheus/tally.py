"""Counts passed and failed checks."""

import sys


class Tally:
    def __init__(self):
        self.passed = 0
        self.failed = 0

    def check(self, holds, what, why=""):
        """One check; `why` is printed only if it fails."""
        if holds:
            self.passed += 1
        else:
            self.failed += 1
            print(f"FAIL {what}" + (f": {why}" if why else ""))
        sys.stdout.flush()
        return holds

    def end(self):
        print(f"{self.passed} passed, {self.failed} failed")
        return 1 if self.failed else 0
