"""One self-contained HTML page: methods and results in words, tables and pictures, in one file."""

from __future__ import annotations

import base64
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from jinja2 import Environment, PackageLoader, StrictUndefined

from harmonium.errors import InvalidParameter
from harmonium.io import atomic_write


@dataclass(frozen=True)
class Picture:
    """A figure of the page.

    Parameters
    ----------
    png : bytes
        The content of a PNG file.
    caption : str
        What is shown and how it was made.
    alt : str
        What those who cannot see it need to know; never empty.
    pixelated : bool
        Whether its pixels are data, to be kept sharp when it is scaled.
    wide : bool
        Whether it takes the whole width of the page; the others stand two abreast where there is room.
    seed : int, optional
        Of its noise, where it has some.
    """

    png: bytes
    caption: str
    alt: str
    pixelated: bool = True
    wide: bool = False
    seed: int | None = None

    def __post_init__(self) -> None:
        if not self.alt.strip():
            raise InvalidParameter("alt must say what the picture shows. Got nothing. Describe it in a sentence.")

    @property
    def uri(self) -> str:
        """The picture itself, as the address of an ``img``."""
        return "data:image/png;base64," + base64.b64encode(self.png).decode("ascii")


@dataclass(frozen=True)
class Table:
    """Rows of ready text under a header. The first column names the row; the others are numbers.

    Parameters
    ----------
    caption : str
    header : sequence of str
    rows : sequence of sequences of str
        Each as long as the header.
    numeric : bool
        Whether the other columns hold numbers, which are then aligned.

    Examples
    --------
    >>> import harmonium
    >>> harmonium.report.Table('Scores.', ('split', 'nats'), [('test', '-20.1')]).header
    ('split', 'nats')
    """

    caption: str
    header: Sequence[str]
    rows: Sequence[Sequence[str]]
    numeric: bool = True


@dataclass(frozen=True)
class Section:
    """An experiment: what was done, and what came of it.

    Parameters
    ----------
    title : str
    methods : sequence of str
        Paragraphs.
    settings : Table or None
        Every hyper-parameter and seed.
    results : sequence of Table
    pictures : sequence of Picture
        Numbered through all sections of the page.
    """

    title: str
    methods: Sequence[str]
    settings: Table | None
    results: Sequence[Table]
    pictures: Sequence[Picture]


@dataclass(frozen=True)
class Page:
    """What a report says. All text is escaped when it is rendered.

    Parameters
    ----------
    title : str
    lead : str
        One or two sentences under the title.
    data : str
        The name of the data set.
    source : str
        Where the data came from.
    sections : sequence of Section
    made_by : str
        The command that makes the page again; said below it and below each picture, and left out where empty.
    version : str
        Of Harmonium, said below each picture.
    origin : mapping of str to str
        What else a reader needs in order to make the page again: versions, platform, date and so on.
    refresh : int
        After how many seconds a browser loads the page anew, while it is being written; 0 for never.
    """

    title: str
    lead: str
    data: str
    source: str
    sections: Sequence[Section]
    made_by: str = ""
    version: str = ""
    origin: Mapping[str, str] = field(default_factory=dict)
    refresh: int = 0

    def html(self) -> str:
        """The page: no script, and no address outside it."""
        environment = Environment(
            loader=PackageLoader("harmonium.report"),
            autoescape=True,
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
            keep_trailing_newline=True,
        )
        return environment.get_template("page.html").render(page=self)

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the page to `path`, atomically.

        Raises
        ------
        UnwritableOutput
            The place cannot be written; an existing file is untouched.
        """
        atomic_write(path, self.html().encode())
