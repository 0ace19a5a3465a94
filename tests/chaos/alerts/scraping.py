"""Asks every process for its metrics, as Prometheus does."""

import http.client
import threading
import time
import urllib.request
from collections.abc import Collection, Mapping
from contextlib import AbstractContextManager, suppress
from typing import Final, Self

from prometheus_client.parser import text_string_to_metric_families

INTERVAL: Final = 1.0  # seconds between two rounds: a process shows nothing newer
TIMEOUT: Final = 0.5  # seconds for one answer: a frozen process must not delay the round
LOOK: Final = 0.2  # seconds between two looks whether all are there

Sample = Mapping[str, float]  # series → value


class Scraper(AbstractContextManager["Scraper"]):
    """While it is open, `rounds` grows: by the number of the round, what all processes told of *metrics*.

    The first round is the one in which each of them answers.
    """

    def __init__(self, ports: Mapping[str, int], metrics: Collection[str]) -> None:
        """*ports*: where each process serves its metrics on loopback, by the name that its series get as instance."""
        self.began = 0.0  # seconds since the epoch
        self.rounds: dict[int, Sample] = {}
        self._ports, self._metrics = ports, frozenset(metrics)
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._scrape, name="scraping", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *exc: object) -> None:
        self._over.set()
        self._thread.join()

    def _scrape(self) -> None:
        while len(self._answers()) < len(self._ports) and not self._over.wait(LOOK):
            pass
        self.began, number = time.time(), 0
        while not self._over.wait(max(0.0, self.began + number * INTERVAL - time.time())):
            self.rounds[number] = {name: value for told in self._answers() for name, value in told.items()}
            number = max(number + 1, round((time.time() - self.began) / INTERVAL))

    def _answers(self) -> list[Sample]:
        """What each process that answers told."""
        told = list[Sample]()
        for name, port in self._ports.items():
            with suppress(OSError, http.client.HTTPException):  # it is away, as some are meant to be
                told.append(self._ask(name, port))
        return told

    def _ask(self, name: str, port: int) -> Sample:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=TIMEOUT) as answer:
            return series_of(answer.read().decode(), name, self._metrics)


def series_of(text: str, instance: str, metrics: Collection[str]) -> Sample:
    """The series of *metrics* in an answer, as Prometheus names them."""
    return {
        _name(sample.name, {**sample.labels, "instance": instance, "job": "revoker"}): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
        if sample.name in metrics
    }


def _name(metric: str, labels: Mapping[str, str]) -> str:
    pairs = ",".join(f'{name}="{value}"' for name, value in sorted(labels.items()))
    return f"{metric}{{{pairs}}}"
