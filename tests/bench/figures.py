"""Plain numbers: what one contender did, quantiles, ratios, goals, and tables of them.

Knows no server and reads no clock, so that it can be tested by itself.
"""

from __future__ import annotations

import math
import statistics
from dataclasses import dataclass, field
from typing import Mapping, NamedTuple, Sequence

NAN = float("nan")


def median(values: Sequence[float]) -> float:
    """Returns the median, or nan where there is none."""
    return statistics.median(values) if values else NAN


def quantile(values: Sequence[float], share: float) -> float:
    """Returns the smallest of the values that this share of them does not exceed, or nan where there is none."""
    if not values:
        return NAN
    # The product may be a hair above a whole number: 0.07 * 100 is.
    rank = math.ceil(round(share * len(values), 9))
    return sorted(values)[max(rank, 1) - 1]


def ratio(above: float, below: float) -> float:
    """Returns the quotient, or nan where it says nothing."""
    return above / below if below > 0 else NAN


@dataclass
class Result:
    """What one contender did. Times are from the end of a save to the first answer by the new code."""

    name: str
    served_ms: list[float] = field(default_factory=list)
    lost: int = 0  # saves that were never served
    requests: int = 0  # of the light client
    failures: dict[str, int] = field(default_factory=dict)
    stale: int = 0  # answers by the old code to questions asked after the first new answer

    @property
    def median_ms(self) -> float:
        """Returns the median time."""
        return median(self.served_ms)

    def quantile_ms(self, share: float) -> float:
        """Returns the time that this share of the saves did not exceed."""
        return quantile(self.served_ms, share)

    def failed(self) -> int:
        """Returns how many requests of the light client failed."""
        return sum(self.failures.values())

    def as_json(self) -> dict[str, object]:
        """Returns everything, with the figures that follow from it."""
        return {
            **vars(self),
            "median_ms": none_for_nan(self.median_ms),
            "p90_ms": none_for_nan(self.quantile_ms(0.9)),
            "max_ms": none_for_nan(self.quantile_ms(1.0)),
        }


def none_for_nan(value: float) -> float | None:
    """Returns what JSON can say of the value."""
    return None if math.isnan(value) else value


def whole(value: float) -> str:
    """Returns the value without decimals for a table, or a dash."""
    return "-" if math.isnan(value) else f"{value:.0f}"


def short(value: float) -> str:
    """Returns the value with so many decimals as it takes to tell small ones apart, or a dash."""
    return "-" if math.isnan(value) else f"{value:.{0 if value >= 100 else 1 if value >= 10 else 2}f}"


def times(value: float) -> str:
    """Returns a ratio for a table, or a dash."""
    return "-" if math.isnan(value) else f"{short(value)} x"


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Returns a table for a terminal: the first column to the left, the others to the right."""
    widths = [max(map(len, cells)) for cells in zip(head, *rows)]
    lines = [[head[0].ljust(widths[0]), *(c.rjust(w) for c, w in zip(head[1:], widths[1:]))]]
    lines.append(["-" * width for width in widths])
    for row in rows:
        lines.append([row[0].ljust(widths[0]), *(c.rjust(w) for c, w in zip(row[1:], widths[1:]))])
    return "\n".join("  ".join(line).rstrip() for line in lines)


SAVES_HEAD = ["mechanism", "saves", "median ms", "p90 ms", "max ms", "ratio", "lost", "failed requests", "old after new"]


def saves_table(results: Sequence[Result], base_ms: float) -> str:
    """Returns one line a result; ratios are to that time."""
    rows = []
    for result in results:
        has_clients = result.requests > 0
        rows.append(
            [
                result.name,
                str(len(result.served_ms)),
                short(result.median_ms),
                short(result.quantile_ms(0.9)),
                short(result.quantile_ms(1.0)),
                times(ratio(result.median_ms, base_ms)),
                str(result.lost),
                f"{result.failed()} of {result.requests}" if has_clients else "-",
                str(result.stale) if has_clients else "-",
            ]
        )
    return table(SAVES_HEAD, rows)


class Goal(NamedTuple):
    """A bound, and what was measured."""

    what: str
    limit: float
    measured: float
    is_minimum: bool  # the measured value is to be at least the limit, otherwise at most

    @property
    def is_met(self) -> bool:
        """Tells whether the bound holds; without a measurement it does not."""
        if math.isnan(self.measured):
            return False
        return self.measured >= self.limit if self.is_minimum else self.measured <= self.limit

    def row(self) -> list[str]:
        """Returns the goal's line of a table."""
        bound = f"{'at least' if self.is_minimum else 'at most'} {self.limit:g} x"
        verdict = "-" if math.isnan(self.measured) else "met" if self.is_met else "MISSED"
        return [self.what, bound, times(self.measured), verdict]

    def as_json(self) -> dict[str, object]:
        """Returns the goal with its verdict."""
        return {**self._asdict(), "measured": none_for_nan(self.measured), "is_met": self.is_met}


def goals_table(goals: Sequence[Goal]) -> str:
    """Returns one line a goal."""
    return table(["goal", "bound", "measured", "verdict"], [goal.row() for goal in goals])


def best(medians: Mapping[str, float], names: Sequence[str]) -> tuple[str, float]:
    """Returns the name with the smallest median of those named, or ("", nan) where none was measured."""
    known = [(medians[name], name) for name in names if not math.isnan(medians.get(name, NAN))]
    return min(known)[::-1] if known else ("", NAN)
