"""The form of a person's name by which two videos of one person are recognised."""

from __future__ import annotations

import unicodedata


def subject_name(text: str) -> str:
    """A person's name in Unicode's NFC. An accented letter is one character or two, by the program."""
    return unicodedata.normalize("NFC", text)
