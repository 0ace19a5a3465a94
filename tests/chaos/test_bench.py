"""The bench itself: rows are declared soundly, clocks jump, disks fill, and a leak is found."""

import contextlib
import itertools
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from canary_search import Kind, Marker, files, leaks
from in_one_test import in_one_test
from servers import Processes, wait_until

from chaos import report
from chaos.clock import Clock
from chaos.disk import MountRefusedError, small_disk
from chaos.rows import BROKERS, Row, all_rows, row
from chaos.running import Result

NOW = "import time, sys\nwhile True: print(time.time(), time.monotonic(), flush=True); time.sleep(0.02)"


@in_one_test
@pytest.mark.parametrize("declared", all_rows(), ids=lambda declared: declared.name)
def test_each_row_says_what_it_is(declared: Row) -> None:
    """One line for the table; brokers that exist; a reason why its duplicates do no harm."""
    assert declared.about.endswith(".")
    assert set(declared.brokers) <= set(BROKERS)
    assert bool(declared.allowance(100).duplicates) == bool(declared.harmless)


def test_a_row_that_allows_duplicates_must_say_why() -> None:
    """The table gives the argument, so the row must."""
    with pytest.raises(ValueError, match="W0 allows duplicates"):
        row("W0", duplicates=1)(lambda _: None)


def test_a_run_of_some_rows_keeps_what_is_known_of_the_others(tmp_path: Path) -> None:
    """One row mended and run again must not cost the table the rest."""
    file = tmp_path / "results.json"
    some = [Result(each, "rabbitmq", 9, None, (), 0.0, 1.0, tmp_path) for each in all_rows()[:3]]
    report.write(report.merge(some[:2], file), file)
    report.write(report.merge([replace(some[1], events=10), some[2]], file, keep=True), file)
    told = {each["row"]: each["events"] for each in json.loads(file.read_text())}
    assert told == {some[0].row.name: 9, some[1].row.name: 10, some[2].row.name: 9}
    assert len(file.with_suffix(".md").read_text().splitlines()) > len(told)


def test_a_clock_jumps_under_a_running_process(tmp_path: Path, processes: Processes) -> None:
    """An hour ahead, a day behind; the monotonic clock, which timers live by, goes on."""
    clock = Clock(tmp_path)
    child = processes.start(sys.executable, "-c", NOW, env=clock.env, name="clock")

    def ahead() -> float:
        return float(child.output.split("\n")[-2].split()[0]) - time.time()

    wait_until(lambda: child.output.count("\n") > 1, 10, "the child to tell the time")
    assert abs(ahead()) < 5
    clock.jump(3600)
    wait_until(lambda: abs(ahead() - 3600) < 5, 5, "the jump ahead")
    clock.jump(-86_400)
    wait_until(lambda: abs(ahead() + 86_400) < 5, 5, "the jump back")
    monotonic = [float(line.split()[1]) for line in child.output.splitlines()[:-1]]
    assert all(0 < later - earlier < 5 for earlier, later in itertools.pairwise(monotonic))


def test_a_small_disk_is_full_and_has_room_again(tmp_path: Path) -> None:
    """ENOSPC for whoever writes, until it is emptied; where mounts are refused, that is said at once."""
    with contextlib.suppress(MountRefusedError), small_disk(tmp_path / "disk", megabytes=1) as disk:
        disk.fill()
        with pytest.raises(OSError, match="No space left"):
            (disk.folder / "more").write_bytes(b"x" * 4096)
        disk.empty()
        (disk.folder / "more").write_bytes(b"x" * 4096)


def test_a_token_in_any_file_is_a_leak(tmp_path: Path) -> None:
    """Also in base64, also in a log of a folder below; a file that may hold it is left out by name."""
    (tmp_path / "logs").mkdir()
    (tmp_path / "logs" / "worker.log").write_text("c2J4LWNoYW9zLWFi")
    (tmp_path / "revoker.toml").write_text("sbx-chaos-ab")
    found = leaks(files(tmp_path, but=("revoker.toml",)), [Marker("a token", "sbx-chaos-ab", Kind.SECRET)])
    assert {leak.partition(": ")[0] for leak in found} == {str(tmp_path / "logs" / "worker.log")}


def test_a_folder_that_goes_while_files_are_searched_is_passed_over(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A broker at work removes a queue's folder between its listing and its opening; the rest is searched."""
    (tmp_path / "queue").mkdir()
    (tmp_path / "worker.log").write_text("sbx-chaos-ab")
    scandir = os.scandir

    def late(folder: str | Path) -> Iterator[os.DirEntry[str]]:
        if Path(folder).name == "queue":
            Path(folder).rmdir()
        return scandir(folder)

    monkeypatch.setattr(os, "scandir", late)
    assert [place.content for place in files(tmp_path)] == [b"sbx-chaos-ab"]
    assert not (tmp_path / "queue").exists()


def test_make_chaos_lists_what_it_would_run() -> None:
    """An expression that names no row runs none, and that is a failure: a typo must not pass for success."""
    command = [sys.executable, "-m", "chaos", "--rows", "Q9"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=Path(__file__).parents[1])
    assert done.returncode == 2
    assert "no row" in done.stderr
