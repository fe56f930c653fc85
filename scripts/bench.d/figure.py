"""A measured number with its unit and bound, and a row of the table made of some."""

from dataclasses import dataclass, field


@dataclass
class Figure:
    """One number; without a bound it is for information."""
    name: str
    value: float
    unit: str = ""
    at_most: float = None
    at_least: float = None

    @property
    def is_bound(self):
        return self.at_most is not None or self.at_least is not None

    @property
    def is_reached(self):
        return (self.at_most is None or self.value <= self.at_most) and (
            self.at_least is None or self.value >= self.at_least)

    def reach(self):
        if self.at_most == 0:
            return f"0 {self.name}"
        sign, bound = ("≤", self.at_most) if self.at_most is not None else ("≥", self.at_least)
        return " ".join(filter(None, [self.name, sign, with_unit(f"{bound:,}", self.unit)]))

    def measured(self):
        return " ".join(filter(None, [self.name, with_unit(digits(self.value), self.unit)]))


@dataclass
class Row:
    """A line of the table. `raw` is what the figures were made of, for bench.json."""
    what: str
    figures: list = field(default_factory=list)
    raw: object = None
    not_measured: str = None

    @classmethod
    def missing(cls, what, why, **bound):
        return cls(what, [Figure("", None, **bound)], not_measured=str(why))

    def reach(self):
        return ", ".join(figure.reach() for figure in self.figures if figure.is_bound) or "(for information)"

    def measured(self):
        if self.not_measured:
            return f"not measured: {self.not_measured}"
        return ", ".join(figure.measured() for figure in self.figures)

    def verdict(self):
        bounds = [figure.is_reached for figure in self.figures if figure.is_bound]
        if self.not_measured or not bounds:
            return ""
        return "ok" if all(bounds) else "missed"

    def line(self):
        return f"{self.what}: {self.measured()}  {self.verdict()}".rstrip()

    def as_json(self):
        return {"what": self.what, "reach": self.reach(), "measured": self.measured(), "verdict": self.verdict(),
                "figures": [vars(figure) for figure in self.figures], "raw": self.raw}


def digits(value):
    """Three that count: 0.123, 1.23, 12.3, 1,234."""
    if value == int(value) or abs(value) >= 100:
        return f"{value:,.0f}"
    return f"{value:.{1 if abs(value) >= 10 else 2 if abs(value) >= 1 else 3}f}"


def with_unit(number, unit):
    return f"{number}{unit}" if unit[:1] in ("/", "×") else f"{number} {unit}".strip()
