"""ELAN files against facts of the EAF 3.0 schema, read again by ElementTree and by pympi."""

from __future__ import annotations

import csv
import itertools
import os
import re
from pathlib import Path
from xml.etree import ElementTree as ET

import numpy as np
import pytest
from synth.frame_tables import HOSTILE_NAMES, frame_table

from vacli.output import elan
from vacli.output.formats import TableOptions, write_file

# From http://www.mpi.nl/tools/elan/EAFv3.0.xsd: order of the children, required and optional attributes.
ROOT_ORDER = [
    "LICENSE",
    "HEADER",
    "TIME_ORDER",
    "TIER",
    "LINGUISTIC_TYPE",
    "LOCALE",
    "LANGUAGE",
    "CONSTRAINT",
]
REQUIRED = {
    "ANNOTATION_DOCUMENT": {"DATE", "AUTHOR", "VERSION"},
    "HEADER": set(),
    "MEDIA_DESCRIPTOR": {"MEDIA_URL", "MIME_TYPE"},
    "LINKED_FILE_DESCRIPTOR": {"LINK_URL", "MIME_TYPE"},
    "TIME_ORDER": set(),
    "TIME_SLOT": {"TIME_SLOT_ID"},
    "TIER": {"TIER_ID", "LINGUISTIC_TYPE_REF"},
    "ANNOTATION": set(),
    "ALIGNABLE_ANNOTATION": {"ANNOTATION_ID", "TIME_SLOT_REF1", "TIME_SLOT_REF2"},
    "ANNOTATION_VALUE": set(),
    "LINGUISTIC_TYPE": {"LINGUISTIC_TYPE_ID"},
}
OPTIONAL = {
    "ANNOTATION_DOCUMENT": {"FORMAT", "{http://www.w3.org/2001/XMLSchema-instance}noNamespaceSchemaLocation"},
    "HEADER": {"MEDIA_FILE", "TIME_UNITS"},
    "MEDIA_DESCRIPTOR": {"RELATIVE_MEDIA_URL", "TIME_ORIGIN", "EXTRACTED_FROM"},
    "LINKED_FILE_DESCRIPTOR": {"RELATIVE_LINK_URL", "TIME_ORIGIN", "ASSOCIATED_WITH"},
    "TIME_SLOT": {"TIME_VALUE"},
    "TIER": {"PARTICIPANT", "ANNOTATOR", "DEFAULT_LOCALE", "PARENT_REF", "EXT_REF", "LANG_REF"},
    "LINGUISTIC_TYPE": {"TIME_ALIGNABLE", "CONSTRAINTS", "GRAPHIC_REFERENCES", "CONTROLLED_VOCABULARY_REF"},
}
CHILDREN = {
    "HEADER": {"MEDIA_DESCRIPTOR", "LINKED_FILE_DESCRIPTOR", "PROPERTY"},
    "TIME_ORDER": {"TIME_SLOT"},
    "TIER": {"ANNOTATION"},
    "ANNOTATION": {"ALIGNABLE_ANNOTATION"},
    "ALIGNABLE_ANNOTATION": {"ANNOTATION_VALUE"},
}
NCNAME = re.compile(r"[A-Za-z_][\w.-]*")


def violations(root: ET.Element) -> list[str]:
    """Differences from the schema: elements, attributes, order, unique ids and references."""
    found = [f"root {root.tag}"] if root.tag != "ANNOTATION_DOCUMENT" else []
    order = [ROOT_ORDER.index(child.tag) for child in root]
    found += [] if order == sorted(order) else ["order of the children of the root"]
    for element in root.iter():
        missing = REQUIRED[element.tag] - element.attrib.keys()
        unknown = element.attrib.keys() - REQUIRED[element.tag] - OPTIONAL.get(element.tag, set())
        found += [f"{element.tag}: {name}" for name in missing | unknown]
        if element is not root:
            found += [f"{c.tag} in {element.tag}" for c in element if c.tag not in CHILDREN[element.tag]]
    slots = [slot.get("TIME_SLOT_ID") for slot in root.iter("TIME_SLOT")]
    ids = slots + [a.get("ANNOTATION_ID") for a in root.iter("ALIGNABLE_ANNOTATION")]
    found += [f"id {name}" for name in ids if ids.count(name) > 1 or not NCNAME.fullmatch(name)]
    for annotation in root.iter("ALIGNABLE_ANNOTATION"):
        refs = {annotation.get("TIME_SLOT_REF1"), annotation.get("TIME_SLOT_REF2")}
        found += [f"reference {ref}" for ref in refs - set(slots)]
    types = {kind.get("LINGUISTIC_TYPE_ID") for kind in root.iter("LINGUISTIC_TYPE")}
    tiers = [tier.get("TIER_ID") for tier in root.iter("TIER")]
    found += [f"tier {name}" for name in tiers if tiers.count(name) > 1]
    return found + [
        f"type of {t.get('TIER_ID')}" for t in root.iter("TIER") if t.get("LINGUISTIC_TYPE_REF") not in types
    ]


def tiers(root: ET.Element) -> dict[str, list[tuple[int, int, str]]]:
    times = {s.get("TIME_SLOT_ID"): int(s.get("TIME_VALUE")) for s in root.iter("TIME_SLOT")}
    return {
        tier.get("TIER_ID"): [
            (times[a.get("TIME_SLOT_REF1")], times[a.get("TIME_SLOT_REF2")], a.findtext("ANNOTATION_VALUE"))
            for a in tier.iter("ALIGNABLE_ANNOTATION")
        ]
        for tier in root.iter("TIER")
    }


@pytest.fixture
def written(tmp_path) -> Path:
    path = tmp_path / "out" / "x.eaf"
    write_file([frame_table(str(tmp_path / "clips" / "a.mp4"))], path, TableOptions())
    return path


EPISODES = [
    (0, 2000, "pleasant, excited"),
    (2000, 4000, "unpleasant, excited"),
    (5000, 6000, "unpleasant, excited"),
]


def test_the_document_follows_the_schema(written):
    root = ET.parse(written).getroot()
    assert violations(root) == []
    assert root.get("FORMAT") == "3.0"
    assert root.get("DATE") == "1970-01-01T00:00:00+00:00", "equal tables give equal files"
    assert root.find("HEADER").get("TIME_UNITS") == "milliseconds"


def test_the_checks_of_this_file_find_errors(written):
    root = ET.parse(written).getroot()
    root.find("TIER").attrib.pop("LINGUISTIC_TYPE_REF")
    root.find("TIME_ORDER").remove(root.find("TIME_ORDER/TIME_SLOT"))
    root.append(root.find("HEADER"))
    assert len(violations(root)) >= 4


def test_episodes_and_peaks_are_annotations(written):
    assert tiers(ET.parse(written).getroot()) == {
        "quadrant": EPISODES,
        "arousal peaks": [(2900, 3100, "0.80")],
    }


def test_annotations_of_a_tier_do_not_overlap(written):
    for tier in tiers(ET.parse(written).getroot()).values():
        assert all(start < end for start, end, _ in tier)
        assert all(one[1] <= two[0] for one, two in itertools.pairwise(tier))


def test_pympi_reads_it(written):
    pympi = pytest.importorskip("pympi")
    eaf = pympi.Eaf(str(written))
    assert sorted(eaf.get_annotation_data_for_tier("quadrant")) == EPISODES
    assert eaf.get_annotation_data_for_tier("arousal peaks") == [(2900, 3100, "0.80")]
    assert eaf.get_linked_files()[0]["RELATIVE_MEDIA_URL"] == "../clips/a.mp4"


def test_the_media_file_is_linked_from_the_folder_of_the_annotations(written):
    media = ET.parse(written).find("HEADER/MEDIA_DESCRIPTOR")
    assert media.get("RELATIVE_MEDIA_URL") == "../clips/a.mp4"
    assert media.get("MEDIA_URL") == f"file://{written.parents[1]}/clips/a.mp4"
    assert media.get("MIME_TYPE") == "video/mp4"


def test_a_recording_beside_the_annotations_is_linked_by_name(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write_file([frame_table("b.webm")], Path("x.eaf"), TableOptions())
    media = ET.parse("x.eaf").find("HEADER/MEDIA_DESCRIPTOR")
    assert (media.get("RELATIVE_MEDIA_URL"), media.get("MIME_TYPE")) == ("./b.webm", "unknown")


def test_a_video_of_a_store_has_no_media_file(tmp_path):
    write_file([frame_table("a")], tmp_path / "x.eaf", TableOptions())
    assert ET.parse(tmp_path / "x.eaf").find("HEADER/MEDIA_DESCRIPTOR") is None


def test_each_face_has_its_own_tiers_and_curves(tmp_path):
    faces = [frame_table("a.mp4", 0), frame_table("a.mp4", 1)]
    write_file(faces, tmp_path / "x.eaf", TableOptions())
    root = ET.parse(tmp_path / "x.eaf").getroot()
    assert violations(root) == []
    assert list(tiers(root)) == [
        "quadrant face 0", "arousal peaks face 0", "quadrant face 1", "arousal peaks face 1",
    ]  # fmt: skip
    assert len(root.findall("HEADER/MEDIA_DESCRIPTOR")) == 1
    assert sorted(os.listdir(tmp_path)) == [
        "x.eaf",
        "x_face0_curves.csv",
        "x_face1_curves.csv",
        "x_tsconf.xml",
    ]
    names = [track.get("name") for track in ET.parse(tmp_path / "x_tsconf.xml").iter("track")]
    assert names == ["valence face 0", "arousal face 0", "valence face 1", "arousal face 1"]


def test_curves_are_linked_and_described(written):
    links = [e.get("RELATIVE_LINK_URL") for e in ET.parse(written).iter("LINKED_FILE_DESCRIPTOR")]
    assert links == ["./x_curves.csv", "./x_tsconf.xml"]
    config = ET.parse(written.with_name("x_tsconf.xml")).getroot()
    (source,) = config.findall("tracksource")
    assert source.get("source-url") == f"file://{written.parent}/x_curves.csv"
    assert (source.get("sample-type"), source.get("time-column")) == ("Discontinuous Rate", "0")
    assert source.find("property").attrib == {"key": "provider", "value": elan.CSV_PROVIDER}
    tracks = {track.get("name"): track for track in source.findall("track")}
    columns = {name: track.find("sample-position/pos").get("col") for name, track in tracks.items()}
    assert columns == {"valence": "1", "arousal": "2"}
    for track in tracks.values():
        assert (track.find("range").get("min"), track.find("range").get("max")) == ("-1.0", "1.0")


def test_curves_have_the_frames_with_a_prediction(written):
    with open(written.with_name("x_curves.csv"), newline="") as stream:
        rows = np.array(list(csv.reader(stream)), float)
    table = frame_table()
    expected = np.stack([table.columns[name][table.valid] for name in ("time_s", "valence", "arousal")], 1)
    np.testing.assert_allclose(rows, expected, atol=5.1e-5)


@pytest.mark.parametrize("name", HOSTILE_NAMES)
def test_hostile_names_stay_texts(name, tmp_path):
    write_file([frame_table(str(tmp_path / name))], tmp_path / "x.eaf", TableOptions())
    root = ET.parse(tmp_path / "x.eaf").getroot()
    assert violations(root) == []
    linked = [media.get("RELATIVE_MEDIA_URL") for media in root.iter("MEDIA_DESCRIPTOR")]
    has_ending = bool(Path(name).suffix)
    assert linked == [f"./{elan.NOT_IN_XML.sub(chr(0xFFFD), name)}"] * has_ending
