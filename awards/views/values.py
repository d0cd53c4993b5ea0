"""What calls bring: shapes and limits, as the document of the API says them."""

import unicodedata
from dataclasses import dataclass
from functools import lru_cache
from typing import Annotated, Any

from ninja import Header, Schema
from pydantic import ConfigDict, Field

from awards.characters import invisible_ranges
from awards.models.claim import (
    CITY_LENGTH,
    COUNTRY_LENGTH,
    NAME_LENGTH,
    PHONE_LENGTH,
    POSTCODE_LENGTH,
    STREET_LENGTH,
)
from awards.models.draw import PERSON_LENGTH, REQUEST_ID_LENGTH
from awards.models.entitlement import SOURCE_LENGTH

BMP = 0xFFFF
"""Behind these code points an escape of four digits is not enough."""


@lru_cache(maxsize=1)
def _unseen() -> str:
    """Return what is not seen, for the brackets of a regular expression; half characters are no text at all."""
    whole = [(first, last) for first, last in invisible_ranges() if unicodedata.category(chr(first)) != "Cs"]
    return "".join(_escaped(first) if first == last else f"{_escaped(first)}-{_escaped(last)}" for first, last in whole)


def _escaped(point: int) -> str:
    return chr(point) if point > BMP else f"\\u{point:04x}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Text:
    """Says in the document what a text must be. Whoever reads the text holds it against the same rules by himself."""

    description: str
    example: str
    length: int
    least: int = 1
    pattern: str = r"^[^{unseen}]*[^{unseen}\s][^{unseen}]*$"
    """A regular expression, with ``{unseen}`` for the characters that are not seen."""

    def __get_pydantic_json_schema__(self, _core: Any, _handler: Any) -> dict[str, Any]:
        """Return the text's schema, which takes a while: it is asked for with the document alone."""
        return {
            "type": "string",
            "minLength": self.least,
            "maxLength": self.length,
            "pattern": self.pattern.replace("{unseen}", _unseen()),
            "description": self.description,
            "examples": [self.example],
        }


SEEN = "without characters that are not seen"
Person = Annotated[
    str,
    Text(
        description=f"A name, an e-mail address or a telephone number, {SEEN}.",
        example="anna@example.com",
        length=PERSON_LENGTH,
    ),
]
Source = Annotated[
    str,
    Text(
        description=f"What earned it, {SEEN} and blanks around. The same again in the campaign earns nothing more.",
        example="order 4711",
        length=SOURCE_LENGTH,
        pattern=r"^[^{unseen}\s](?:[^{unseen}]*[^{unseen}\s])?$",
    ),
]
CallKey = Annotated[
    str,
    Text(
        description="One new id for each draw, the same one to repeat a request. It may stand in quotes.",
        example="draw-1",
        length=REQUEST_ID_LENGTH,
        pattern=r"^[!#-~]+$",
    ),
    Header(alias="Idempotency-Key"),
]


class Body(Schema):
    """What a call brings: no member that is not named, and nothing but texts."""

    model_config = ConfigDict(extra="forbid", strict=True)


class DrawIn(Body):
    """Who draws."""

    person: Person
    entitlement: str = Field(
        "",
        description="The id of the entitlement to use up, for clients alone; empty: the person's next, if need be.",
    )


class EntitlementIn(Body):
    """Who gets the right to a draw, and for what."""

    person: Person
    source: Source


class AddressIn(Body):
    """Where a gift goes."""

    name: Annotated[str, Text(description="Who takes it.", example="Anna Seltsam", length=NAME_LENGTH)]
    street: Annotated[str, Text(description="Street and number.", example="Lindenallee 7", length=STREET_LENGTH)]
    postcode: Annotated[str, Text(description="Letters and digits.", example="04109", length=POSTCODE_LENGTH)]
    city: Annotated[str, Text(description="The town.", example="Leipzig", length=CITY_LENGTH)]
    country: Annotated[str, Text(description="The country.", example="Germany", length=COUNTRY_LENGTH)]
    phone: Annotated[
        str,
        Text(
            description="Digits, for the carrier; empty: none.",
            example="+49 341 998877",
            length=PHONE_LENGTH,
            least=0,
            pattern="^[^{unseen}]*$",
        ),
    ] = ""
