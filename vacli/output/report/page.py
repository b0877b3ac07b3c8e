"""The web pages of a report: the page of a recording, and the index."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from importlib import resources
from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined

from vacli import __version__
from vacli.output.annotations import face_tiers
from vacli.output.frame_table import FrameTable
from vacli.output.report.card_text import Block, inline
from vacli.output.report.moments import clearest_moments, has_uncertainty
from vacli.output.report.packing import pack_faces
from vacli.output.report.playback import MediaFile, relative_url, unplayable_reason
from vacli.output.report.shown_text import shown
from vacli.output.report.summary import MEANINGS, index_row, summarize_face

TEMPLATES = "templates"
SCRIPTS = {  # in the order in which they run
    "recording.html": ("data.js", "curves.js", "plane.js", "player.js", "controls.js"),
    "index.html": ("index.js",),
}
GENERATOR = "va report"
N_COLOURS = 6  # face colours in report.css
EXPLORE = "The curves can still be explored."
HEAD_BYTES = 1 << 18
GENERATOR_TAG = re.compile(rb'<meta name="generator" content="va report')
ROW_TAG = re.compile(rb'<script type="application/json" id="index-row">(.*?)</script>', re.DOTALL)


@dataclass(frozen=True)
class Limits:
    """Sections of a model card by title. source: a sentence about the card."""

    source: str
    sections: Mapping[str, Sequence[Block]]


@dataclass(frozen=True, eq=False)
class RecordingPage:
    """All that the page of a recording shows.

    tables: one for each face. media: None if the file is not there. provenance: pairs of a name and a value.
    embed: the page holds the recording, instead of a link to it.
    """

    name: str
    tables: Sequence[FrameTable]
    media: MediaFile | None
    provenance: Sequence[tuple[str, str]]
    limits: Limits
    embed: bool = False

    def html(self, folder: Path) -> str:
        """The page as HTML, to be written into `folder`. Raises OSError if `embed` cannot read the file."""
        tiers = face_tiers(sorted(self.tables, key=_face_id))
        row = index_row(shown(self.name), tiers)
        media = self.media
        data = pack_faces(tiers) | {
            "picture_px": media.size_px if media else None,
            "media_start_s": media.start_s if media else 0.0,
        }
        return _render(
            "recording.html",
            page=self,
            title=shown(Path(self.name).name or self.name),
            row=row,
            data=data,
            faces=[summarize_face(tier) for tier in tiers],
            meanings=MEANINGS,
            moments=clearest_moments(tiers),
            certain=any(has_uncertainty(table) for table in self.tables),
            player=_player(self, folder),
        )


@dataclass(frozen=True)
class IndexRow:
    """A recording in the index. page: its file name. values: as in `summary.index_row`."""

    page: str
    values: Mapping[str, Any]

    @property
    def title(self) -> str:
        """The name without its folder."""
        return Path(self.values["name"]).name or self.values["name"]

    @property
    def folder(self) -> str:
        """The folder of the recording, empty for a name without one."""
        return self.values["name"].removesuffix(self.title)


def index_html(rows: Sequence[IndexRow], failed: Sequence[tuple[str, str]]) -> str:
    """The index as HTML. failed: name and cause of each input without a page."""
    causes = [(shown(name), shown(cause.removeprefix(f"{name}: "))) for name, cause in failed]
    has_folders = len({row.folder for row in rows}) > 1
    return _render("index.html", rows=rows, failed=causes, has_folders=has_folders)


def read_row(path: Path) -> dict[str, Any]:
    """The index row that a page holds. Raises ValueError if it is not a page of a recording."""
    with path.open("rb") as file:
        found = ROW_TAG.search(file.read(HEAD_BYTES))
    if not found:
        raise ValueError(f"{path} is not a page of `{GENERATOR}`")
    return json.loads(found.group(1))


def is_report(path: Path) -> bool:
    """Whether a file is a page of an earlier `va report`."""
    with path.open("rb") as file:
        return bool(GENERATOR_TAG.search(file.read(4096)))


def _face_id(table: FrameTable) -> int:
    ids = table.columns.get("face_id")
    return int(ids.max(initial=-1)) if ids is not None else -1


@dataclass(frozen=True)
class _Player:
    """The player of a page; `kind` is None without one, and `note` gives the reason. content: base64."""

    note: str = ""
    kind: str | None = None
    url: str | None = None
    content: str | None = None
    mime_type: str = ""


def _player(page: RecordingPage, folder: Path) -> _Player:
    media = page.media
    if media is None:
        return _Player(f"There is no player, because the recording was not found. {EXPLORE}")
    reason = unplayable_reason(media)
    if reason is not None:
        return _Player(f"{reason} A copy as .mp4 (H.264, AAC) plays in all of them. {EXPLORE}")
    if not page.embed:
        return _Player(kind=media.kind, url=relative_url(media.path, folder))
    content = base64.b64encode(media.path.read_bytes()).decode("ascii")
    return _Player(kind=media.kind, content=content, mime_type=media.mime_type)


def _render(template: str, **variables: Any) -> str:
    script, style = _script(template), _asset("report.css")
    return (
        _environment()
        .get_template(template)
        .render(
            generator=f"{GENERATOR} {__version__}",
            version=__version__,
            script=script,
            style=style,
            script_hash=_csp_hash(script),
            style_hash=_csp_hash(style),
            **variables,
        )
    )


@lru_cache
def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader(__package__, TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"inline": inline, "clock": clock, "signed": signed, "plain": plain}
    environment.globals["n_colours"] = N_COLOURS
    return environment


@lru_cache
def _script(template: str) -> str:
    """The scripts of a template in one block, so that their names are not those of the page."""
    return '"use strict";\n{\n' + "\n".join(map(_asset, SCRIPTS[template])) + "}\n"


@lru_cache
def _asset(name: str) -> str:
    return (resources.files(__package__) / TEMPLATES / name).read_text(encoding="utf-8")


def _csp_hash(text: str) -> str:
    """The hash by which the Content-Security-Policy of a page allows an inline script or style."""
    return base64.b64encode(hashlib.sha256(text.encode()).digest()).decode("ascii")


def clock(time_s: float) -> str:
    """A time as M:SS.t, from an hour on as H:MM:SS.t."""
    tenths = round(max(time_s, 0.0) * 10)
    minutes, rest = divmod(tenths, 600)
    hours, minutes = divmod(minutes, 60)
    lead = f"{hours}:{minutes:02}" if hours else f"{minutes}"
    return f"{lead}:{rest // 10:02}.{rest % 10}"


def signed(value: float | None) -> str:
    """A value with its sign and two decimals, a dash for None."""
    return "\u2013" if value is None else f"{round(value, 2) + 0.0:+.2f}".replace("-", "\u2212")


def plain(value: float | None) -> str:
    """A value with two decimals, a dash for None."""
    return "\u2013" if value is None else f"{value:.2f}"
