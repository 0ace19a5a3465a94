"""The bounds of what travels to the ledger: whatever a process writes, a row of it can be stored.

The contract bounds what producers write. These bounds hold for the processes' own messages too, so that whoever
takes one of them over cannot stop the recorder: times that have a form in UTC, numbers that sort as eight digits, text
that fits an index of PostgreSQL (a third of a page, 2 704 bytes, https://www.postgresql.org/docs/current/btree.html;
the longest is a subject's: key, source and event id, four bytes a character).
"""

from typing import Annotated, Final

from pydantic import Field

from tasks.instants import Instant

Moment = Instant
"""A time in UTC, of the years 1 to 9999."""

Name = Annotated[str, Field(max_length=128)]
SourceName = Annotated[str, Field(max_length=512)]
SubjectKey = Annotated[str, Field(max_length=64, pattern=r"^[\x21-\x7e]*$")]
Words = Annotated[str, Field(max_length=2048)]
"""Text for people, in no index."""

MOST: Final = 99_999_999
Count = Annotated[int, Field(ge=0, le=MOST)]
Integer64 = Annotated[int, Field(ge=-(2**63), lt=2**63)]
"""A number as SQL has it."""
Measure = Annotated[float, Field(allow_inf_nan=False)]
Detail = Annotated[dict[Name, Words], Field(max_length=64)]
