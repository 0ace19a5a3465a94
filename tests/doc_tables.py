"""`make docs`: writes the tables of README.md and docs/ that models and measurements determine.

A table is found by its header line and its rows are replaced; the text around it is written by hand.
"""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Iterable, Iterator
from functools import cache
from html import escape, unescape
from pathlib import Path
from types import UnionType
from typing import Any, Final, Literal, Union, get_args, get_origin

from chaos.alerts.table import alert_rows
from doc_reference import Row, command_rows, exit_codes, metric_rows, option_rows
from pydantic import BaseModel, SecretStr
from pydantic.fields import FieldInfo
from scale_tables import scale_tables

from tasks.doors import KINDS as DOORS
from tasks.doors.settings import CommonDoorSettings
from tasks.doors.swept import SweptDoorSettings
from tasks.providers import KINDS
from tasks.providers.kind import CommonSettings
from worker.operations.doctor import CHECKS
from worker.operations.remedies import REMEDIES
from worker.settings import Settings
from worker.settings.console_sign_in import OidcSettings
from worker.settings.sections import SourceSettings

ROOT: Final = Path(__file__).parents[1]
EVERY_KIND: Final = frozenset(CommonSettings.model_fields)  # these have a table and a sentence of their own
FIGURES: Final = {"calls_per_second": 0, "cpu_us_per_call": 0, "memory_mb": 0, "p50_ms": 1, "p99_ms": 1}  # digits

RATES: Final = (10, 100, 1000, 10_000)  # events a second of docs/capacity.md
HOUR: Final = 3600.0  # seconds
DAY: Final = 24 * HOUR


def pages() -> list[Path]:
    """README.md and the pages of docs/."""
    return [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]


def renewed(text: str) -> str:
    """*text* with the rows of its generated tables as they must be today."""
    for header, rows in {**settings_tables(), **other_tables()}.items():
        lines = _lines(rows)
        text = _pattern(header).sub(lambda match, lines=lines: match[1] + lines, text)  # type: ignore[misc]
    text = re.sub(r"\d+ of \d+ aims are met", aims_met(), text)
    text = _pattern("reason").sub(_mended_again, text)
    return _pattern("measured row").sub(_measured_again, text)


def other_tables() -> dict[str, list[Row]]:
    """Every other table that is made as a whole: the first column's name, and its rows."""
    return {
        "counted by `make chaos`": counted(),
        "`make`": make_targets(),
        "floor": floors(),
        "aim": aims(),
        "one core of": cores(),
        "exit code": exit_codes(),
        "command": command_rows(),
        "of command": option_rows(),
        "metric": metric_rows(),
        "doctor's check": doctors_checks(),
        "alert": alert_rows(),
        **scale_tables(),
    }


def _measured_again(match: re.Match[str]) -> str:
    return match[1] + _lines(measured(*row[:2]) for row in rows_of(match[2]))


def _mended_again(match: re.Match[str]) -> str:
    """The table of reasons: what happened is told by hand, what mends it by the code."""
    return match[1] + _lines((*row[:2], _remedy_of(row[0]) or row[2]) for row in rows_of(match[2]))


def _remedy_of(cell: str) -> str | None:
    """What mends the first reason in *cell*; None where that stands for several which have remedies of their own."""
    found = REMEDIES.get(unescape(cell.split("`")[1]))
    return found.do if found else None


def rows_of(text: str) -> list[list[str]]:
    """The cells of each line of a table's body."""
    return [[cell.strip() for cell in line.strip("|").split(" | ")] for line in text.splitlines()]


def settings_tables() -> dict[str, list[Row]]:
    """Every table of settings: the first column's name, and its rows in the order of the model."""
    kinds = [kind.settings for kind in KINDS.values()]
    doors = {
        f"`doors.<name>.` of kind `{each.name}`": _settings(each.settings, _of_all(each.settings))
        for each in DOORS.values()
    }
    return {
        "every process": _settings(Settings, {"providers", "sources", "doors", "oidc"}),
        "`console.oidc.`": _settings(OidcSettings),
        "`sources.<name>.`": _settings(SourceSettings),
        "`providers.<name>.` of every kind": _settings(CommonSettings, {"kind"}),
        **{f"`providers.<name>.` of kind {_kind(model)}": _settings(model, EVERY_KIND) for model in kinds},
        "`doors.<name>.` of every kind": _settings(CommonDoorSettings, {"kind"}),
        "`doors.<name>.` of a kind that can be swept": _settings(SweptDoorSettings, CommonDoorSettings.model_fields),
        **doors,
    }


def _kind(model: type[BaseModel]) -> str:
    return str(model.model_fields["kind"].default)


def _of_all(model: type[CommonDoorSettings]) -> set[str]:
    """The settings that other kinds of door have as well, but for those that *model* has another default for."""
    common = SweptDoorSettings if issubclass(model, SweptDoorSettings) else CommonDoorSettings
    own = model.model_fields
    return {"kind"} | {name for name, each in common.model_fields.items() if own[name].default == each.default}


def _settings(model: type[BaseModel], without: Iterable[str] = ()) -> list[Row]:
    return [
        (f"`{name}`", default_of(field), allowed(field), escape(field.description or "", quote=False))
        for name, field in _fields(model, set(without))
    ]


def _fields(model: type[BaseModel], without: set[str], path: str = "") -> Iterator[tuple[str, FieldInfo]]:
    """Every setting of *model* with its dotted name, those of its sections included."""
    for name, field in model.model_fields.items():
        if name in without:
            continue
        if isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel):
            yield from _fields(field.annotation, set(), f"{path}{name}.")
        elif issubclass(model, CommonSettings) and (choices := _choices(field)):
            each_once = {at: its for each in choices for at, its in _fields(each, {"scheme"}, f"{path}{name}.")}
            yield from {f"{path}{name}": field, **each_once}.items()
        else:
            yield f"{path}{field.alias or name}", field


def _choices(field: FieldInfo) -> list[type[BaseModel]]:
    """The sections that *field* may be, where there is a choice."""
    parts = get_args(field.annotation) if get_origin(field.annotation) in {Union, UnionType} else ()
    return [each for each in parts if isinstance(each, type) and issubclass(each, BaseModel)]


def default_of(field: FieldInfo) -> str:
    """The default of *field* as the tables write it: `–` where there is none, long times in hours or days as well."""
    if field.is_required():
        return "required"
    plain: Any = field.default.get_secret_value() if isinstance(field.default, SecretStr) else field.default
    if isinstance(plain, frozenset):
        plain = ", ".join(sorted({str(each) for each in plain}))
    if isinstance(plain, float):
        return f"`{number(plain)}`{_spoken(plain, field.description or '')}"
    return "–" if plain is None or plain == "" else f"`{plain}`"


def _spoken(value: float, meaning: str) -> str:
    if "econds" not in meaning or value < HOUR:
        return ""
    return f" ({number(value / DAY)} d)" if value > 3 * DAY else f" ({number(value / HOUR)} h)"


def number(value: float) -> str:
    """*value* without a fraction where it has none."""
    return str(int(value)) if value == int(value) else str(value)


def allowed(field: FieldInfo) -> str:
    """The choices or the bounds of *field*; `–` where its type says everything."""
    types = (field.annotation, *get_args(field.annotation))
    if choices := [f"`{value}`" for each in types if get_origin(each) is Literal for value in get_args(each)]:
        return ", ".join(choices)
    least, above, most = (_bound(field, kind) for kind in ("ge", "gt", "le"))
    start = f"above {above}" if above else least
    return f"{start} to {most}" if most else "–"


def _bound(field: FieldInfo, kind: str) -> str:
    """The bound of *kind* that annotated-types sets for *field*, or an empty string."""
    return next((number(getattr(each, kind)) for each in field.metadata if hasattr(each, kind)), "")


def make_targets() -> list[Row]:
    """The targets of the Makefile that `make help` lists, with what it says of each."""
    found = re.findall(r"^([a-z]+):.*## (.*)$", (ROOT / "Makefile").read_text(), re.MULTILINE)
    return [(f"`{target}`", meaning.replace("|", "\\|")) for target, meaning in found]


def doctors_checks() -> list[Row]:
    """What `revoker doctor` looks at, and what to do where it finds something."""
    return [(f"`{name}`", check.meaning, check.remedy) for name, check in CHECKS.items()]


def floors() -> list[Row]:
    """The floors of the import contract, the highest first, and what stands on each."""
    tools = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]
    [layers] = [each["layers"] for each in tools["importlinter"]["contracts"] if each["type"] == "layers"]
    return [
        (f"{len(layers) - n}", ", ".join(f"`{each}`" for each in layer.split(" | "))) for n, layer in enumerate(layers)
    ]


def counted() -> list[Row]:
    """The sums of `tests/chaos/results.json`."""
    results = _read("tests/chaos/results.json")
    looked = [each["living"] for each in results if "living" in each]
    return [
        ("runs of a row, each on one broker", f"{len(results)}"),
        ("runs that failed", f"{sum(not each['passed'] for each in results)}"),
        ("events, confirmed by the broker", f"{_sum(results, 'events')}"),
        ("events lost", f"{_sum(results, 'lost')}"),
        ("tokens told out but living", f"{sum(looked)}, counted in {len(looked)} of the runs"),
        ("calls for what was dead already", f"{_sum(results, 'duplicates')}"),
        ("such calls that the rows allow", f"{_sum(results, 'duplicates_bound')}"),
        ("dead letters, each with its reason", f"{_sum(results, 'dead')}"),
    ]


def aims_met() -> str:
    """How many of the aims, as a page says it."""
    said = [met for *_, met in aims()]
    return f"{said.count('met')} of {len(said)} aims are met"


def _sum(results: list[Any], name: str) -> int:
    return sum(each[name] for each in results)


def measured(row: str, broker: str) -> Row:
    """A line of the speed tables: the figures of *row* in `benchmarks/results.json`, rounded.

    `–` stands for what a row does not have, and for a row that the run did not measure.
    """
    found = [each for each in _read("benchmarks/results.json") if (each["row"], each["broker"]) == (row, broker)]
    figures = found[0] if found else dict.fromkeys(FIGURES)
    return row, broker, *("–" if figures[name] is None else f"{figures[name]:.{n}f}" for name, n in FIGURES.items())


def cores() -> list[Row]:
    """What a core of each process takes, calculated from the CPU that the last run measured."""
    measured = {each["row"]: each["cpu_us_per_call"] for each in _read("benchmarks/results.json")[::-1]}
    told = [(name, measured.get(f"its {name}")) for name in ("intake", "worker", "recorder")]
    return [
        (name, f"{cost:.0f}", f"{1e6 / cost:.0f}", *(f"{rate * cost / 1e6:.2f}" for rate in RATES)) if cost
        else (name, *["–"] * (2 + len(RATES)))
        for name, cost in told
    ]  # fmt: skip


def aims() -> list[Row]:
    """The aims of the last run, as `benchmarks/results.md` has them."""
    lines = (ROOT / "benchmarks/results.md").read_text().splitlines()
    found = (re.fullmatch(r"(.+?)\s+([≥≤] \S+)\s+(\S*)\s+(met|MISSED|not measured)", line) for line in lines)
    return [(each[1], each[2], each[3] or "–", each[4].lower()) for each in found if each]


@cache
def _read(path: str) -> list[Any]:
    listed: list[Any] = json.loads((ROOT / path).read_text())
    return listed


def _pattern(header: str) -> re.Pattern[str]:
    return re.compile(rf"(^\| {re.escape(header)} \|.*\n\|[-|]+\|\n)((?:\|.*\|\n)*)", re.MULTILINE)


def _lines(rows: Iterable[Row]) -> str:
    return "".join(f"| {' | '.join(row)} |\n" for row in rows)


def main() -> None:
    """Write every page whose tables have changed."""
    for page in pages():
        page.write_text(renewed(page.read_text()))


if __name__ == "__main__":
    main()
