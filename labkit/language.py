"""What a student reads, in English and in Spanish: each text is written once in both. Rank 0.5."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, get_args

from labkit.errors import BadInput

Language = Literal["en", "es"]
LANGUAGES: tuple[Language, ...] = get_args(Language)


@dataclass(frozen=True)
class Text:
    """One text in every language. What stands in braces is filled in later: a value, or another Text."""

    en: str
    es: str

    def within(self, language: Language) -> str:
        """The text as readers of that language get it."""
        return self.es if language == "es" else self.en

    def filled(self, **values: "object | Text") -> "Text":
        """The text with values in place of the names in braces."""

        def fill(language: Language) -> str:
            words = {key: one.within(language) if isinstance(one, Text) else one for key, one in values.items()}
            return self.within(language).format(**words)

        return Text(fill("en"), fill("es"))


class Said(BadInput):
    """A wrong use by somebody who reads, told in their language where the command line knows it; else in English."""

    def __init__(self, text: Text) -> None:
        super().__init__(text.en)
        self.text = text


def same(text: str) -> Text:
    """What is alike in every language: a name, a command."""
    return Text(text, text)


def listed(texts: list[Text], between: Text | None = None) -> Text:
    """Several texts as one, one after the other."""
    comma = between or same(", ")
    return Text(comma.en.join(one.en for one in texts), comma.es.join(one.es for one in texts))


def choose(asked: str | None, environment: Mapping[str, str]) -> Language:
    """The language that was asked for, or else that of the locale, if it is one of ours; English otherwise.

    Raises BadInput for a language that there is not.
    """
    for language in LANGUAGES:
        if asked == language:
            return language
    if asked is not None:
        raise BadInput(f"--lang: there is no language {asked!r}; use one of: {', '.join(LANGUAGES)}")
    names = (environment.get(name) for name in ("LC_ALL", "LC_MESSAGES", "LANG"))
    locale = next((name for name in names if name), "")
    return "es" if re.match(r"es([_.@]|$)", locale) else "en"
