"""The form of every figure: one JSON object with the machine, the figures, the goals and what was missed.

Promises: goals are given as the issue states them and never changed by a run.
Does not cover: keeping reports; `docs/log.md` is written by hand.
"""

from __future__ import annotations

import datetime
import json
from dataclasses import dataclass, field

from homefire.hardware import detect


@dataclass(slots=True)
class Report:
    """Figures by name, the unit in the name; `goals` maps a name to (">=" or "<=", number)."""

    bench: str
    goals: dict[str, tuple[str, float]]
    figures: dict[str, float] = field(default_factory=dict)

    @property
    def missed(self) -> list[str]:
        """Names of the goals that the figures do not meet; a figure that is missing misses its goal."""
        return [name for name, (sign, number) in self.goals.items() if not self._met(name, sign, number)]

    def _met(self, name: str, sign: str, number: float) -> bool:
        found = self.figures.get(name)
        if found is None:
            return False
        return found >= number if sign == ">=" else found <= number

    def show(self, as_json: bool) -> None:
        """Prints it, JSON on the last line."""
        machine = detect()
        if not as_json:
            for name, figure in self.figures.items():
                goal = f"   goal {self.goals[name][0]} {self.goals[name][1]:g}" if name in self.goals else ""
                print(f"  {name:32} {figure:>10.3f}{goal}{'   MISSED' if name in self.missed else ''}")
        print(
            json.dumps(
                {
                    "bench": self.bench,
                    "date": datetime.date.today().isoformat(),
                    "machine": {
                        "cores": machine.cores,
                        "memory": f"{machine.memory_bytes / 2**30:.1f} GiB",
                        "processor": machine.processor,
                    },
                    "figures": {name: round(figure, 4) for name, figure in self.figures.items()},
                    "goals": {name: list(goal) for name, goal in self.goals.items()},
                    "missed": self.missed,
                }
            )
        )
