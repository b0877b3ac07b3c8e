"""`va report`: pages, index, provenance and what is not replaced."""

from __future__ import annotations

import html
import json
import re
from pathlib import Path

import numpy as np
import pytest
from synth.faces import scene, write_video
from synth.frame_tables import HOSTILE_NAMES, frame_table

from vacli import __version__
from vacli.datasets.audio_augmentation import write_wav
from vacli.errors import OutputError, UsageError
from vacli.files.digests import file_sha256
from vacli.inference.run import BUNDLED
from vacli.media.kinds import MediaInput
from vacli.output.formats import TableOptions
from vacli.output.frame_table import FrameTable
from vacli.output.index_table import IndexEntry, index_lines
from vacli.output.provenance import write_sidecar
from vacli.output.writers import CsvWriter
from vacli.progress import RecordingProgress
from vacli.steps import _journal, report
from vacli.steps._batch import DONE, Batch, InputStatus
from vacli.steps._journal import NoJournal
from vacli.steps._prediction_provenance import conditions, input_record
from vacli.steps._prediction_settings import PredictSettings

COLUMNS = ("time_s", "valence", "arousal", "modality", "input")
QUALITY_COLUMNS = (*COLUMNS, "face_detected", "audio_present", "quality", "quality_limit")


@pytest.fixture(scope="module")
def media(tmp_path_factory) -> Path:
    """A folder with a clip, a silent sound and a damaged file."""
    folder = tmp_path_factory.mktemp("media")
    write_video(folder / "clip.mp4", [scene((160, 120))] * 6)
    write_wav(folder / "quiet.wav", np.zeros(16_000, np.float32))
    (folder / "damaged.mp4").write_bytes(b"\0\0\0\x18ftypmp42damaged")
    return folder


@pytest.fixture(scope="module")
def made(media) -> tuple[Path, Batch]:
    out = media.parent / "report"
    return out, make(out, media)


def make(out: Path, *inputs: Path, progress: RecordingProgress | None = None, **chosen: object) -> Batch:
    embed = bool(chosen.pop("embed", False))
    predict = PredictSettings(inputs=inputs, face="all", **chosen)  # type: ignore[arg-type]
    return report.run(report.ReportSettings(predict=predict, out=out, embed=embed), progress)


def write_table(path: Path, *names: str, columns: tuple[str, ...] = COLUMNS) -> Path:
    with path.open("w", encoding="utf-8", errors="surrogateescape", newline="") as stream:
        writer = CsvWriter(stream, options=TableOptions(columns))
        for name in names:
            writer.write(with_quality(frame_table(name)))
    return path


def with_quality(table: FrameTable) -> FrameTable:
    """The table with 50 rows of low quality; rows without a prediction have a quality of 0."""
    quality, limit = np.full(len(table), 0.9), np.full(len(table), "uncertainty", "U20")
    quality[:50], limit[:20], limit[20:50] = 0.1, "face_size", "pose"
    quality[~table.valid], limit[~table.valid] = 0.0, "no_face_or_speech"
    return FrameTable(table.name, {**table.columns, "quality": quality, "quality_limit": limit})


def text_of(path: Path) -> str:
    """The text of a page without its tags."""
    body = path.read_text(encoding="utf-8").split("<body>")[1]
    return html.unescape(re.sub(r"<[^>]+>", "", body))


def provenance(path: Path) -> dict[str, str]:
    pairs = re.findall(r"<dt>(.*?)</dt><dd>(.*?)</dd>", path.read_text(encoding="utf-8"))
    return {name: html.unescape(value) for name, value in pairs}


def listed(out: Path) -> list[str]:
    return re.findall(r'<a href="([^"]+)"', (out / "index.html").read_text())


def test_each_recording_has_a_page_and_the_index_lists_them(made, media):
    out, batch = made
    assert sorted(path.name for path in out.iterdir()) == ["clip.html", "index.html", "quiet.html"]
    assert listed(out) == ["clip.html", "quiet.html"]
    assert batch.done == [str(media / "clip.mp4"), str(media / "quiet.wav")]


def test_failed_inputs_are_in_the_index_with_their_cause(made, media):
    out, batch = made
    (failure,) = batch.failed
    assert failure.name == str(media / "damaged.mp4")
    assert "cannot be read" in failure.reason
    assert failure.reason in text_of(out / "index.html")


def test_pages_state_where_their_rows_come_from(made, media):
    facts = provenance(made[0] / "clip.html")
    assert facts["Recording"] == str(media / "clip.mp4")
    assert facts["SHA-256 of the recording"] == file_sha256(media / "clip.mp4")
    assert facts["Rows"] == f"predicted by va {__version__}"
    model = conditions(PredictSettings(inputs=()), TableOptions())["model"]
    assert facts["Model"] == f"bundled, fingerprint {model['fingerprint']}"
    assert facts["Settings"] == "face all, backend auto"
    assert facts["Streams"] == "h264 320 x 240, 25.00 frames/s, no sound"


def test_sound_has_an_audio_player(made):
    assert "<audio" in (made[0] / "quiet.html").read_text()


def test_pages_state_the_limits_of_the_card(made):
    text = text_of(made[0] / "clip.html")
    for line in ("Faces are embedded fifteen times a second", "On other material the error is larger."):
        assert line in BUNDLED.with_name("CARD.md").read_text().replace("\n  ", " ")
        assert line in text


def test_pages_of_a_trained_run_show_its_own_card(media, tmp_path):
    run = BUNDLED / "fold_1"
    make(tmp_path, media / "clip.mp4", model=run, device="cpu")
    assert provenance(tmp_path / "clip.html")["Model"].startswith("fold_1, fingerprint ")
    text = text_of(tmp_path / "clip.html")
    assert "0.645" in text
    assert "Faces are embedded fifteen times" not in text


def test_a_table_gives_pages_of_its_recordings(tmp_path, media):
    table = write_table(tmp_path / "va.csv", "elsewhere/clip.mp4", "gone.mp4")
    (tmp_path / "clip.mp4").write_bytes((media / "clip.mp4").read_bytes())
    batch = make(tmp_path / "out", table)
    assert listed(tmp_path / "out") == ["clip.html", "gone.html"]
    assert not batch.failed
    assert 'src="../clip.mp4"' in (tmp_path / "out/clip.html").read_text()
    facts = provenance(tmp_path / "out/gone.html")
    assert facts["Recording"] == "gone.mp4 (the file is not there)"
    assert facts["SHA-256 of the table"] == file_sha256(table)
    assert facts["Rows"] == "of an unknown model: the table has no provenance file"
    assert "Model" not in facts
    assert "The model that made the table is not known here." in text_of(tmp_path / "out/gone.html")


def test_a_table_with_its_provenance_has_its_model_and_limits(tmp_path):
    table = write_table(tmp_path / "va.csv", "gone.mp4")
    make(tmp_path / "report", table, progress=(told := RecordingProgress()))
    assert any("gone.mp4: the recording of this table was not found" in w for w in told.warnings)
    made = conditions(PredictSettings(inputs=(), face="left"), TableOptions())
    write_sidecar(table, {**made, "inputs": [], "files": {"va.csv": file_sha256(table)}})
    make(tmp_path / "out", table)
    facts = provenance(tmp_path / "out/gone.html")
    assert facts["Model"] == f"bundled, fingerprint {made['model']['fingerprint']}"
    assert facts["Settings"] == "face left, backend auto"
    assert "Faces are embedded fifteen times a second" in text_of(tmp_path / "out/gone.html")


def test_a_changed_table_has_no_model(tmp_path):
    table = write_table(tmp_path / "va.csv", "gone.mp4")
    made = conditions(PredictSettings(inputs=()), TableOptions())
    write_sidecar(table, {**made, "inputs": [], "files": {"va.csv": file_sha256(table)}})
    table.write_text(table.read_text().replace("gone.mp4", "lost.mp4"))
    make(tmp_path / "out", table)
    facts = provenance(tmp_path / "out/lost.html")
    assert facts["Rows"] == "changed since `va predict` wrote the table"
    assert "Model" not in facts
    assert "Faces are embedded fifteen times" not in text_of(tmp_path / "out/lost.html")


def test_frames_of_low_quality_are_left_out_and_counted(tmp_path):
    table = write_table(tmp_path / "va.csv", "a.mp4", columns=QUALITY_COLUMNS)
    progress = RecordingProgress()
    make(tmp_path / "out", table, min_quality=0.3, progress=progress)
    text = text_of(tmp_path / "out/a.html")
    assert (
        "75 of 150 frames (50.0%) are left out, because they have neither a face nor sound (25) and their "
        "quality is too low (50): pose 30, face_size 20."
    ) in text
    (message,) = [line for line in progress.messages if "quality below 0.3" in line]
    assert message.startswith("50 of 125 frames")


def test_a_recording_in_two_tables_has_two_pages(tmp_path):
    tables = [write_table(tmp_path / name, "a.mp4", "b.mp4") for name in ("one.csv", "two.csv")]
    make(tmp_path / "out", *tables)
    pages = listed(tmp_path / "out")
    assert len(set(pages)) == 4
    names = {provenance(tmp_path / "out" / page)["Table"] for page in pages}
    assert names == set(map(str, tables))


def test_hostile_names_have_pages_and_a_place_in_the_index(tmp_path):
    make(tmp_path / "out", write_table(tmp_path / "va.csv", *HOSTILE_NAMES))
    pages = [path for path in (tmp_path / "out").iterdir() if path.name != "index.html"]
    assert len(pages) == len(HOSTILE_NAMES) == len(listed(tmp_path / "out"))
    assert all(re.fullmatch(r"[\w .()+,@=&'-]+\.html", path.name) for path in pages)


def test_a_table_without_the_needed_columns_fails(tmp_path):
    table = write_table(tmp_path / "va.csv", "a.mp4", columns=("time_s", "valence", "input"))
    batch = make(tmp_path / "out", table)
    assert [failure.reason for failure in batch.failed] == ["a.mp4: the table has no column arousal"]
    assert listed(tmp_path / "out") == []


def test_the_index_of_an_earlier_report_is_kept_if_all_inputs_fail(tmp_path):
    make(tmp_path / "out", write_table(tmp_path / "va.csv", "a.mp4"))
    batch = make(tmp_path / "out", tmp_path / "misspelled.mp4")
    assert len(batch.failed) == 1
    assert listed(tmp_path / "out") == ["a.html"]


@pytest.mark.parametrize("name", ["", "index.csv"])
def test_an_output_folder_without_a_complete_table_fails(name, tmp_path):
    folder = tmp_path / "tables"
    folder.mkdir()
    entry = IndexEntry("a.csv", "a.mp4", cause="damaged")
    (folder / "index.csv").write_text("".join(index_lines([entry], TableOptions())))
    batch = make(tmp_path / "out", folder / name)
    (failure,) = batch.failed
    assert failure.reason.startswith(f"{folder / 'index.csv'} lists no complete table; ")
    assert failure.reason in text_of(tmp_path / "out/index.html")


def test_a_folder_that_is_named_like_a_file_is_refused(tmp_path):
    table = write_table(tmp_path / "va.csv", "a.mp4")
    with pytest.raises(UsageError, match=r"-o names a folder; page\.html looks like a file"):
        make(tmp_path / "page.html", table)
    assert not (tmp_path / "page.html").exists()
    (tmp_path / "old.html").mkdir()
    assert make(tmp_path / "old.html", table).done


def test_pages_of_an_earlier_report_are_replaced(tmp_path):
    table = write_table(tmp_path / "va.csv", "a.mp4")
    make(tmp_path / "out", table)
    before = (tmp_path / "out/a.html").read_bytes()
    (tmp_path / "out/a.html").write_bytes(before + b"<!-- old -->")
    make(tmp_path / "out", table)
    assert (tmp_path / "out/a.html").read_bytes() == before


@pytest.mark.parametrize("name", ["index.html", "a.html"])
def test_other_files_are_not_replaced(tmp_path, name):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / name).write_text("mine")
    with pytest.raises(OutputError, match=f"{name} exists and is not a page") as error:
        make(tmp_path / "out", write_table(tmp_path / "va.csv", "a.mp4", "b.mp4"))
    assert error.value.hint == "name another folder with -o"
    assert [(path.name, path.read_text()) for path in (tmp_path / "out").iterdir()] == [(name, "mine")]


def test_pages_that_an_earlier_process_wrote_are_in_the_index(tmp_path, monkeypatch):
    class Done(NoJournal):
        def known(self, key: str) -> InputStatus | None:
            return InputStatus(DONE)

    table = write_table(tmp_path / "va.csv", "a.mp4", "b.mp4")
    make(tmp_path / "out", table)
    index = (tmp_path / "out/index.html").read_bytes()
    (tmp_path / "out/index.html").unlink()
    monkeypatch.setattr(_journal, "_journal", Done())
    make(tmp_path / "out", table)
    assert (tmp_path / "out/index.html").read_bytes() == index


@pytest.mark.parametrize(
    ("limit", "message", "is_embedded"),
    [
        ("LARGE_BYTES", "the page that contains it will open slowly", True),
        ("MAX_EMBEDDED_BYTES", "it is linked instead of embedded", False),
    ],
)
def test_embedding_a_large_recording_warns(media, tmp_path, monkeypatch, limit, message, is_embedded):
    monkeypatch.setattr(report, limit, 100)
    progress = RecordingProgress()
    table = write_table(tmp_path / "va.csv", str(media / "clip.mp4"))
    make(tmp_path / "out", table, embed=True, progress=progress)
    assert [message in warning for warning in progress.warnings] == [True]
    assert ('id="content"' in (tmp_path / "out/clip.html").read_text()) == is_embedded


def test_index_row_has_the_numbers_of_the_page(made):
    row = re.search(r'id="index-row">(.*?)</script>', (made[0] / "clip.html").read_text())
    assert row
    values = json.loads(row[1])
    assert (values["faces"], values["valid_fraction"], values["duration_s"]) == (1, 1.0, pytest.approx(0.24))
    assert -1 <= values["valence"] <= 1


def test_another_file_of_the_same_name_is_not_the_recording_of_the_rows(tmp_path, media):
    table = write_table(tmp_path / "va.csv", "elsewhere/clip.mp4")
    clip = tmp_path / "clip.mp4"
    clip.write_bytes((media / "clip.mp4").read_bytes())
    about = conditions(PredictSettings(inputs=()), TableOptions())
    record = input_record(MediaInput(media / "clip.mp4", "video"))
    write_sidecar(table, {**about, "inputs": [record], "files": {"va.csv": file_sha256(table)}})
    make(tmp_path / "same", table, progress=(told := RecordingProgress()))
    assert not told.warnings, "the same content at another time and place"
    assert provenance(tmp_path / "same/clip.html")["SHA-256 of the recording"] == record["sha256"]
    write_video(clip, [scene((100, 100))] * 6)
    make(tmp_path / "other", table, progress=(told := RecordingProgress()))
    (warning,) = told.warnings
    assert warning.startswith(f"{table}: its rows were made from another clip.mp4 ({record['size_bytes']}")
    assert str(clip) in warning
    facts = provenance(tmp_path / "other/clip.html")
    assert facts["Recording"] == f"{clip} is not the file that the rows were made from"
    assert "SHA-256 of the recording" not in facts
    assert facts["SHA-256 of this file"] == file_sha256(clip)
    assert facts["SHA-256 of the file of the rows"] == record["sha256"]
    copy = write_table(tmp_path / "copy.csv", "elsewhere/clip.mp4")
    source = {"name": "va.csv", "provenance": {**about, "inputs": [record]}}
    write_sidecar(copy, {"inputs": [source], "files": {"copy.csv": file_sha256(copy)}})
    make(tmp_path / "copied", copy, progress=(told := RecordingProgress()))
    assert f"{copy}: its rows were made from another clip.mp4" in told.warnings[0], "a table of `va convert`"
    two = [record, {**record, "sha256": "0" * 64}]  # such as day1/clip.mp4 and day2/clip.mp4
    write_sidecar(table, {**about, "inputs": two, "files": {"va.csv": file_sha256(table)}})
    make(tmp_path / "two", table)
    facts = provenance(tmp_path / "two/clip.html")
    assert facts["SHA-256 of the file of the rows"] == f"{record['sha256']} or {'0' * 64}"
