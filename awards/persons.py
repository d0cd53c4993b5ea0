"""Who draws: how a person is written down, so that one person is one text and nobody looks like another. Pure."""

import re
import unicodedata
from dataclasses import dataclass

from awards.characters import find_invisible
from awards.codes import csv_rows
from awards.errors import InvalidPerson
from awards.models.draw import PERSON_LENGTH
from awards.models.entitlement import SOURCE_LENGTH

HEADINGS = frozenset({"person", "email", "e-mail", "mail"})


def identity(person: str, *, ignores_tags: bool = False) -> str:
    """Return who ``person`` is: composed characters, single spaces, and an e-mail address without regard to case.

    With ``ignores_tags`` an address is the same whatever follows a plus sign in front of its @. Raises
    ``InvalidPerson`` for an empty or overlong text, and for any character that is not seen: it stands for one person,
    so nobody may look like another. Joiners are no exception, whatever script they are spelling in.
    """
    if character := find_invisible(person):
        raise InvalidPerson(f"the person holds U+{ord(character):04X}, which is not seen")
    tidy = " ".join(unicodedata.normalize("NFC", person).split())
    tidy = tidy.casefold() if "@" in tidy else tidy
    tidy = _without_tag(tidy) if ignores_tags else tidy
    if not 0 < len(tidy) <= PERSON_LENGTH:
        raise InvalidPerson(f"the person must have 1 to {PERSON_LENGTH} characters")
    return tidy


def _without_tag(person: str) -> str:
    """Return ``anna+shop@example.com`` as ``anna@example.com``."""
    name, at, host = person.rpartition("@")
    plain = name.partition("+")[0]
    return f"{plain}@{host}" if at and plain else person


def telephone(person: str) -> str:
    """Return ``+49341998877`` if the person is a telephone number with its country's, however spaced, or nothing."""
    digits = re.sub(r"[ ()/.-]", "", person)
    return digits if re.fullmatch(r"\+[1-9][0-9]{6,14}", digits) else ""


def mask(person: str) -> str:
    """Return a name or an e-mail address of which only the first letter and the domain can be read."""
    name, at, domain = person.partition("@")
    return f"{name[:1]}…{at}{domain}"


def is_source(source: str) -> bool:
    """Tell whether a text can say what an entitlement is earned by: of a length that fits, and all of it seen."""
    return 0 < len(source) <= SOURCE_LENGTH and not find_invisible(source) and source == source.strip()


@dataclass(frozen=True, slots=True)
class FaultyPerson:
    """A line that cannot be taken, and why: ``columns``, ``person``, ``source`` or ``doubled``."""

    line: int
    fault: str


@dataclass(frozen=True, slots=True)
class PersonList:
    """What a list holds: who earned a draw by what, as (person, source), and which lines are faulty."""

    entries: tuple[tuple[str, str], ...]
    faulty_lines: tuple[FaultyPerson, ...]


def read_persons(text: str, *, ignores_tags: bool) -> PersonList:
    """Read a list of two columns: a person, and what the draw was earned by, which stands in it once.

    Blank lines are passed over, and so is a heading such as ``person,source`` in the first line.
    """
    entries: dict[str, str] = {}
    faulty_lines: list[FaultyPerson] = []
    for number, cells in csv_rows(text):
        if not cells or (number == 1 and cells[0].casefold() in HEADINGS):
            continue
        try:
            person, source = _entry(cells, ignores_tags=ignores_tags)
        except InvalidPerson:
            faulty_lines.append(FaultyPerson(number, "person"))
        except ValueError as error:
            faulty_lines.append(FaultyPerson(number, str(error)))
        else:
            if source in entries:
                faulty_lines.append(FaultyPerson(number, "doubled"))
            entries.setdefault(source, person)
    return PersonList(tuple((person, source) for source, person in entries.items()), tuple(faulty_lines))


def _entry(cells: list[str], *, ignores_tags: bool) -> tuple[str, str]:
    if len(cells) != 2:
        raise ValueError("columns")
    person, source = cells
    if not is_source(source):
        raise ValueError("source")
    return identity(person, ignores_tags=ignores_tags), source
