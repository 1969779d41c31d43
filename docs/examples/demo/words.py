"""Text that people type: what is accepted, and the summary that is worked out of it in the background."""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from dataclasses import dataclass

READING_WORDS_PER_MINUTE = 220
SHORTEST_COMMON_WORD = 4
COMMON_WORDS = 5


class BadText(ValueError):
    """The text cannot be used; the message can be shown to whoever typed it."""


@dataclass(frozen=True)
class Summary:
    """How many `words`, how many `seconds` they take to read, and the most `common` longer ones."""

    words: int
    seconds: int
    common: tuple[str, ...]


def summarise(text: str) -> Summary:
    words = re.findall(r"\w+(?:['\u2019]\w+)*", text.lower())
    longer = Counter(word for word in words if len(word) >= SHORTEST_COMMON_WORD)
    common = tuple(word for word, _ in longer.most_common(COMMON_WORDS))
    return Summary(len(words), round(len(words) * 60 / READING_WORDS_PER_MINUTE), common)


def clean_text(value: object, name: str, longest: int, *, lines: bool = False) -> str:
    """`value` without surrounding space, normalised to NFC; line breaks only where `lines` allows them.

    Raises `BadText` for anything but a string of 1 to `longest` characters, for control characters, and for lone
    surrogates (JSON can spell them, no database can store them).
    """
    if not isinstance(value, str):
        raise BadText(f"{name} must be text")
    text = unicodedata.normalize("NFC", value).strip().replace("\r\n", "\n")
    if not text:
        raise BadText(f"{name} must not be empty")
    if len(text) > longest:
        raise BadText(f"{name} must have at most {longest} characters")
    allowed = "\n\t" if lines else ""
    if any(unicodedata.category(character) in ("Cc", "Cs") and character not in allowed for character in text):
        raise BadText(f"{name} has characters that cannot be shown")
    return text


def clean_file_name(name: str) -> str:
    """A name that is safe to show and to send back: no directories, no control characters, 1 to 120 characters."""
    last = re.split(r"[/\\]", name)[-1]
    kept = "".join(character for character in last if unicodedata.category(character)[0] != "C")
    kept = unicodedata.normalize("NFC", kept).strip(" .")
    if len(kept) > 120:
        stem, dot, ending = kept.rpartition(".")
        short_ending = dot + ending if stem and len(ending) <= 16 else ""
        kept = kept[: 120 - len(short_ending)].rstrip(" .") + short_ending
    return kept or "file"
