"""Text files of other programs: encodings by byte order mark, and spreadsheets, which are no text."""

from __future__ import annotations

import codecs

BYTE_ORDER_MARKS = {  # UTF-32 first, since its mark begins with that of UTF-16
    codecs.BOM_UTF32_LE: "utf-32",
    codecs.BOM_UTF32_BE: "utf-32",
    codecs.BOM_UTF16_LE: "utf-16",
    codecs.BOM_UTF16_BE: "utf-16",
    codecs.BOM_UTF8: "utf-8-sig",
}
ZIP = b"PK\x03\x04"  # .xlsx and .ods
PARQUET = b"PAR1"
OLE = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"  # .xls
SAVE_AS_CSV = "save it as CSV in UTF-8"


def marked_encoding(data: bytes) -> str | None:
    """The encoding that the byte order mark of a text file names; None without a mark."""
    return next((name for mark, name in BYTE_ORDER_MARKS.items() if data.startswith(mark)), None)


def is_spreadsheet(data: bytes) -> bool:
    """Whether the content of a file is that of a spreadsheet, a Parquet table or an archive."""
    return data.startswith((ZIP, OLE, PARQUET))
