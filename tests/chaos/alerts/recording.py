"""What the processes told while a row ran: a small file, and the same with its clock stretched, for promtool."""

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, field
from itertools import groupby
from pathlib import Path
from typing import Final

from chaos.alerts.scraping import INTERVAL, Scraper

FOLDER: Final = Path(__file__).with_name("recordings")
FASTER: Final = 60  # so many seconds of the rules' clock are one of the bench's
STEP: Final = round(INTERVAL * FASTER)  # seconds of the rules' clock between two samples
MISSING: Final = "_"  # the scraper was late
GONE: Final = "stale"  # the process did not answer, or told of this series no more
DIGITS: Final = 2  # of a second, or of what else is no whole number


@dataclass(frozen=True, slots=True)
class Recording:
    """The series of one row. Times are seconds of the bench's clock since it began; those of its alert are the rules'.

    *series*: name → values, a word for each sample: a number, `stale` or `_`, with `*n` where it stands n times.
    """

    alert: str  # that fires; empty: none does
    fault: str  # in one line
    samples: int
    broken: float  # when the fault began; 0: there was none
    healed: float
    fires: int = 0  # seconds of the rules' clock
    resolved: int = 0  # likewise: the first moment without it
    labels: Mapping[str, str] = field(default_factory=dict)  # of the alert
    series: Mapping[str, str] = field(default_factory=dict, repr=False)

    @classmethod
    def load(cls, file: Path) -> "Recording":
        """The recording in *file*."""
        return cls(**json.loads(file.read_text()))

    def save(self, file: Path) -> None:
        """Write it to *file*."""
        file.write_text(json.dumps(asdict(self), indent=1, ensure_ascii=False) + "\n")

    @property
    def end(self) -> int:
        """When the last sample was taken, by the rules' clock."""
        return (self.samples - 1) * STEP

    def stretched(self) -> list[Mapping[str, str]]:
        """The series as promtool takes them, with everything that is a time in the rules' clock."""
        return [
            {"series": name, "values": " ".join(_notation(values, _factor(name)))}
            for name, values in self.series.items()
        ]


def recordings() -> list[Recording]:
    """All that are kept."""
    return [Recording.load(file) for file in sorted(FOLDER.glob("*.json"))]


def series_from(scraper: Scraper) -> tuple[int, dict[str, str]]:
    """How many samples *scraper* has of each series, and the series."""
    count = max(scraper.rounds) + 1
    names = sorted({name for told in scraper.rounds.values() for name in told})
    return count, {name: _packed(_values(name, scraper, count)) for name in names}


def _values(name: str, scraper: Scraper, count: int) -> Iterator[str]:
    """A word for each round."""
    is_there = False
    since = scraper.began if "_timestamp_seconds" in name else 0.0
    for number in range(count):
        told = scraper.rounds.get(number)
        value = None if told is None else told.get(name)
        if value is not None:
            yield f"{value - since:.{DIGITS}f}".rstrip("0").rstrip(".")
        else:
            yield GONE if is_there and told is not None else MISSING
        is_there = value is not None or (is_there and told is None)


def _packed(words: Iterable[str]) -> str:
    runs = ((word, len(list(same))) for word, same in groupby(words))
    return " ".join(word if times == 1 else f"{word}*{times}" for word, times in runs)


def _notation(packed: str, factor: float) -> Iterator[str]:
    """In promtool's notation `2+0x9` is ten times 2, and `_x9` nothing nine times."""
    for run in packed.split():
        word, _, times = run.partition("*")
        if word == MISSING:
            yield f"_x{times or 1}"
        elif word == GONE:
            yield GONE
        else:
            value = f"{float(word) * factor:.10g}"
            yield f"{value}+0x{int(times) - 1}" if times else value


def _factor(name: str) -> float:
    """What is measured in seconds is in those of the rules' clock."""
    metric = name.partition("{")[0].removesuffix("_sum")
    return FASTER if metric.endswith("_seconds") else 1
