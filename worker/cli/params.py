"""What options give a command: spans, moments, rates, and several options as one value."""

import functools
from collections.abc import Callable, Sequence
from typing import Any, Final, TypeVar

import click

from worker.operations import parsing

T = TypeVar("T")


def _of_option(parse: Callable[[str], T]) -> Callable[[str], T]:
    """*parse* for an option: what it refuses ends the command."""

    @functools.wraps(parse)
    def checked(value: str) -> T:
        try:
            return parse(value)
        except ValueError as error:
            raise click.BadParameter(str(error)) from None

    return checked


span: Final = _of_option(parsing.span)
moment: Final = _of_option(parsing.moment)
rate: Final = _of_option(parsing.rate)

Decorator = Callable[[Callable[..., None]], Callable[..., None]]


def with_options(command: Callable[..., None], options: Sequence[Decorator]) -> Callable[..., None]:
    """Return *command* with *options*, which its help shows in this order."""
    return functools.reduce(lambda decorated, option: option(decorated), reversed(options), command)


def gathered(name: str, make: Callable[..., object], options: Sequence[Decorator]) -> Decorator:
    """Give a command *options*, whose values it gets as one argument *name*: what *make* makes of them."""
    probe = click.command()(with_options(lambda: None, options))
    names = [str(each.name) for each in probe.params]

    def decorate(command: Callable[..., None]) -> Callable[..., None]:
        @functools.wraps(command)
        def with_one(**given: Any) -> None:  # noqa: ANN401 - whatever the options are
            value = make(**{each: given.pop(each) for each in names})
            command(**{name: value}, **given)

        return with_options(with_one, options)

    return decorate
