"""Figures that several runs share: on a machine that is quiet for a minute at a time, a table is made of many short runs.

With `--keep FILE` a run adds what it found to that file, and its table is of everything in it.
"""

import json
import os
import statistics
import sys


class Figures:
    """Values by work and column, in the order in which they first came."""

    def __init__(self, path):
        self.path, self.units, self.values = path, {}, {}
        if path and os.path.exists(path):
            with open(path, encoding="utf-8") as file:
                kept = json.load(file)
            self.units, self.values = kept["units"], kept["values"]

    def add(self, work, unit, column, value):
        self.units[work] = unit
        self.values.setdefault(work, {}).setdefault(column, []).append(value)
        print(f"# {column}: {work}: {value:.3f} {unit}", file=sys.stderr, flush=True)
        if self.path:
            with open(f"{self.path}.new", "w", encoding="utf-8") as file:
                json.dump({"units": self.units, "values": self.values}, file, indent=1)
            os.replace(f"{self.path}.new", self.path)

    def median(self, work, column):
        """None where there is nothing."""
        values = self.values.get(work, {}).get(column)
        return statistics.median(values) if values else None

    def table(self, columns, works=None):
        """Medians, and the least and the most where there are several."""
        rounds = [len(values) for by in self.values.values() for values in by.values()]
        print(f"rounds: {min(rounds)} to {max(rounds)}\n", file=sys.stderr)
        print("| work | unit | " + " | ".join(columns) + " |")
        print("| --- " * (len(columns) + 2) + "|")
        for work in works or self.values:
            cells = [shown(self.median(work, column)) for column in columns]
            print(f"| {work} | {self.units[work]} | " + " | ".join(cells) + " |")

    def spread(self, columns):
        """Of everything the least and the most, for who doubts a median."""
        for work, by in self.values.items():
            cells = [f"{column} {min(by[column]):.4g} to {max(by[column]):.4g}" for column in columns if column in by]
            print(f"# {work}: " + "; ".join(cells), file=sys.stderr)


def shown(value):
    if value is None:
        return "-"
    return f"{value:.2f}" if abs(value) < 10 else f"{value:,.1f}" if abs(value) < 100 else f"{value:,.0f}"


def wanted(text, names):
    """The groups that `--only` names, or all."""
    groups = text.split(",") if text else list(names)
    unknown = [group for group in groups if group not in names]
    if unknown:
        sys.exit(f"no such group: {', '.join(unknown)}; there are {', '.join(names)}")
    return groups
