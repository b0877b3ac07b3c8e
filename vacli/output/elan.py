"""Episodes, peaks and curves for ELAN: an EAF 3.0 file, and the curves that it links.

Beside NAME.eaf lie NAME_curves.csv (seconds, valence, arousal; with several faces one file each) and
NAME_tsconf.xml, which makes ELAN draw them. Sources: the schema http://www.mpi.nl/tools/elan/EAFv3.0.xsd; the
time series configuration is as ELAN writes it. ELAN looks for a linked file under its absolute URL first,
and then under the relative one. Its URLs are not percent-encoded.
"""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from pathlib import Path
from xml.etree import ElementTree as ET

from vacli import __version__
from vacli.files.atomic import write_bytes, write_text
from vacli.output.annotations import FaceTier, face_tiers, milliseconds
from vacli.output.formats import TableOptions, face_file
from vacli.output.frame_table import FrameTable

SCHEMA = "http://www.mpi.nl/tools/elan/EAFv3.0.xsd"
NO_DATE = "1970-01-01T00:00:00+00:00"  # the schema needs a date; equal tables give equal files
CSV_PROVIDER = "mpi.eudico.client.annotator.timeseries.csv.CSVServiceProvider"
MIME_TYPES = {
    ".mp4": "video/mp4",
    ".m4v": "video/mp4",
    ".mov": "video/quicktime",
    ".mpg": "video/mpeg",
    ".mpeg": "video/mpeg",
    ".wav": "audio/x-wav",
}
OTHER_MIME_TYPE = "unknown"  # ELAN's own value
TIER_TYPE = "va"
PEAK_MS = 200  # length of the annotation of a peak: ELAN has no points
COLORS = {"valence": "0,114,178", "arousal": "213,94,0"}  # distinguishable with colour blindness
NOT_IN_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


class ElanWriter:
    """Tiers of quadrants and of peaks of arousal for each face, with the media file linked.

    Characters of a name that XML does not have are written as U+FFFD.
    """

    def __init__(self, options: TableOptions) -> None:
        self._provenance = options.provenance

    def write(self, tables: Sequence[FrameTable], path: Path) -> None:
        """Write the annotations of one recording, and the curves beside them."""
        tiers = face_tiers(tables)
        curves = {face_file(path, tier.label, "_curves.csv"): tier for tier in tiers}
        config = path.with_name(f"{path.stem}_tsconf.xml")
        for file, tier in curves.items():
            write_text(file, _curves(tier))
        write_bytes(config, _xml(_time_series(curves)))
        media = list(dict.fromkeys(Path(table.name) for table in tables if Path(table.name).suffix))
        document = _document(path, tiers, media, [*curves, config])
        if self._provenance:
            header = document.find("HEADER")
            assert header is not None
            ET.SubElement(header, "PROPERTY", NAME="va_provenance").text = self._provenance
        write_bytes(path, _xml(document))


def _document(path: Path, tiers: list[FaceTier], media: list[Path], linked: list[Path]) -> ET.Element:
    root = ET.Element(
        "ANNOTATION_DOCUMENT",
        {
            "xmlns:xsi": "http://www.w3.org/2001/XMLSchema-instance",
            "xsi:noNamespaceSchemaLocation": SCHEMA,
            "AUTHOR": f"va {__version__}",
            "DATE": NO_DATE,
            "FORMAT": "3.0",
            "VERSION": "3.0",
        },
    )
    _add_header(root, path, media, linked)
    _Tiers(root).add(tiers)
    ET.SubElement(root, "LINGUISTIC_TYPE", LINGUISTIC_TYPE_ID=TIER_TYPE, TIME_ALIGNABLE="true")
    return root


def _add_header(root: ET.Element, path: Path, media: list[Path], linked: list[Path]) -> None:
    header = ET.SubElement(root, "HEADER", MEDIA_FILE="", TIME_UNITS="milliseconds")
    for file in media:
        mime_type = MIME_TYPES.get(file.suffix.lower(), OTHER_MIME_TYPE)
        urls = {"MEDIA_URL": _url(file)} | _relative("RELATIVE_MEDIA_URL", file, path)
        ET.SubElement(header, "MEDIA_DESCRIPTOR", urls, MIME_TYPE=mime_type)
    for file in linked:
        mime_type = "text/xml" if file.suffix == ".xml" else OTHER_MIME_TYPE
        urls = {"LINK_URL": _url(file)} | _relative("RELATIVE_LINK_URL", file, path)
        ET.SubElement(header, "LINKED_FILE_DESCRIPTOR", urls, MIME_TYPE=mime_type)


class _Tiers:
    """The time slots and tiers of a document; both are numbered from 1."""

    def __init__(self, root: ET.Element) -> None:
        self._root, self._order = root, ET.SubElement(root, "TIME_ORDER")
        self._n_annotations = 0

    def add(self, tiers: list[FaceTier]) -> None:
        """Add the tiers of each face."""
        for tier in tiers:
            element = self._tier(tier.named("quadrant"))
            for one in tier.intervals:
                self._annotate(element, one.start_ms, one.end_ms, one.episode.quadrant)
            element = self._tier(tier.named("arousal peaks"))
            end_ms = 0
            for peak in tier.peaks:
                start_ms = max(end_ms, milliseconds(peak.time_s) - PEAK_MS // 2)
                end_ms = start_ms + PEAK_MS
                self._annotate(element, start_ms, end_ms, f"{peak.arousal:.2f}")

    def _tier(self, name: str) -> ET.Element:
        return ET.SubElement(self._root, "TIER", TIER_ID=name, LINGUISTIC_TYPE_REF=TIER_TYPE)

    def _annotate(self, tier: ET.Element, start_ms: int, end_ms: int, text: str) -> None:
        self._n_annotations += 1
        slots = {"TIME_SLOT_REF1": self._slot(start_ms), "TIME_SLOT_REF2": self._slot(end_ms)}
        annotation = ET.SubElement(tier, "ANNOTATION")
        aligned = ET.SubElement(
            annotation, "ALIGNABLE_ANNOTATION", slots, ANNOTATION_ID=f"a{self._n_annotations}"
        )
        ET.SubElement(aligned, "ANNOTATION_VALUE").text = text

    def _slot(self, time_ms: int) -> str:
        name = f"ts{len(self._order) + 1}"
        ET.SubElement(self._order, "TIME_SLOT", TIME_SLOT_ID=name, TIME_VALUE=str(time_ms))
        return name


def _curves(tier: FaceTier) -> str:
    """Seconds, valence and arousal of the frames with a prediction; ELAN reads files without a header."""
    rows = tier.table.rows(("time_s", "valence", "arousal"))
    return "".join(
        ",".join(row) + "\n" for row, valid in zip(rows, tier.table.valid, strict=True) if valid and all(row)
    )


def _time_series(curves: dict[Path, FaceTier]) -> ET.Element:
    root = ET.Element("timeseries", date=NO_DATE, version="1.0")
    for file, tier in curves.items():
        source = ET.SubElement(
            root,
            "tracksource",
            {"source-url": _url(file), "sample-type": "Discontinuous Rate", "time-column": "0"},
        )
        ET.SubElement(source, "property", key="provider", value=CSV_PROVIDER)
        for column, name in enumerate(COLORS, 1):
            track = ET.SubElement(source, "track", name=tier.named(name), derivative="0")
            ET.SubElement(track, "property", key="detect-range", value="false")
            ET.SubElement(ET.SubElement(track, "sample-position"), "pos", col=str(column), row="0")
            ET.SubElement(track, "description")
            ET.SubElement(track, "units")
            ET.SubElement(track, "range", min="-1.0", max="1.0")
            ET.SubElement(track, "color").text = COLORS[name]
    return root


def _url(path: Path) -> str:
    return "file:///" + os.path.abspath(path).replace(os.sep, "/").lstrip("/")


def _relative(attribute: str, file: Path, path: Path) -> dict[str, str]:
    """The URL of `file` as seen from the folder of `path`; none from another drive of Windows."""
    try:
        relative = os.path.relpath(os.path.abspath(file), os.path.dirname(os.path.abspath(path)))
    except ValueError:
        return {}
    url = relative.replace(os.sep, "/")
    return {attribute: url if url.startswith("../") else f"./{url}"}


def _xml(root: ET.Element) -> bytes:
    for element in root.iter():
        for name, value in element.attrib.items():
            element.attrib[name] = NOT_IN_XML.sub("\ufffd", value)
    ET.indent(root)
    return ET.tostring(root, "utf-8", xml_declaration=True) + b"\n"
