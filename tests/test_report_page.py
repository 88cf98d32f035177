"""The page: complete, self-contained, accessible, and safe whatever the texts are."""

import base64
import re
from dataclasses import asdict, replace
from html.parser import HTMLParser

import pytest

from harmonium import Config
from harmonium.errors import InvalidParameter, UnwritableOutput
from harmonium.report import Page, Picture, Section, Table, describe_method, settings_table

EVIL = "<script>alert('x')</script> & \"quoted\""
VOID = {"meta", "link", "img", "br", "hr"}


class Outline(HTMLParser):
    """The elements of a page, and the errors in their nesting."""

    def __init__(self, html):
        super().__init__()
        self.elements, self.open, self.texts = [], [], []
        self.feed(html)
        assert self.open == []

    def handle_starttag(self, tag, attributes):
        self.elements.append((tag, dict(attributes)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.texts.append(data)

    def all(self, tag):
        return [attributes for name, attributes in self.elements if name == tag]


def section(**changes):
    return replace(
        Section(
            title="A section",
            methods=("First paragraph.", "Second paragraph."),
            settings=Table("Settings", ("setting", "value"), [("seed", "7")], numeric=False),
            results=(Table("Scores", ("data", "score"), [("test", "1.25")]),),
            pictures=(
                Picture(b"png one", "Caption one.", "Alt one."),
                Picture(b"png two", "Two.", "Alt two.", False, True),
            ),
        ),
        **changes,
    )


def page(**changes):
    return replace(
        Page(
            title="A title",
            lead="A lead.",
            data="some-data",
            source="From somewhere.",
            sections=(section(), section(title="Another", pictures=(Picture(b"png three", "Three.", "Alt three."),))),
            made_by="harmonium reproduce",
        ),
        **changes,
    )


def test_everything_is_on_the_page():
    outline = Outline(page().html())
    text = "".join(outline.texts)
    for expected in (
        "A title",
        "A lead.",
        "some-data",
        "From somewhere.",
        "First paragraph.",
        "Second paragraph.",
        "Another",
    ):
        assert expected in text
    for expected in ("Settings", "seed", "7", "Scores", "1.25", "Caption one.", "harmonium reproduce"):
        assert expected in text


def test_pictures_are_in_the_page_and_have_alternatives():
    images = Outline(page().html()).all("img")
    contents = [base64.b64decode(image["src"].removeprefix("data:image/png;base64,")) for image in images]
    assert contents == [b"png one", b"png two", b"png three"]
    assert [image["alt"] for image in images] == ["Alt one.", "Alt two.", "Alt three."]


def test_figures_are_numbered_through_the_page():
    html = page().html()
    assert re.findall(r"<b>(Figure \d+)\.</b> (\w+)", html) == [
        ("Figure 1", "Caption"),
        ("Figure 2", "Two"),
        ("Figure 3", "Three"),
    ]


@pytest.mark.parametrize("alt", ["", "  "])
def test_a_picture_without_an_alternative_is_refused(alt):
    with pytest.raises(InvalidParameter, match="alt must"):
        Picture(b"", "caption", alt)


def test_nothing_is_fetched_and_nothing_runs():
    html = page().html()
    outline = Outline(html)
    assert not outline.all("script")
    for _, attributes in outline.elements:
        for name in ("src", "href", "srcset", "action"):
            assert attributes.get(name, "data:").startswith(("data:", "#"))
        assert not any(name.startswith("on") for name in attributes)
    assert not re.search(r"@import|url\(|https?:", html)


def test_all_text_is_escaped():
    table = Table(EVIL, (EVIL, EVIL), [(EVIL, EVIL)])
    part = Section(EVIL, (EVIL,), table, (table,), (Picture(b"", EVIL, EVIL),))
    evil = page(title=EVIL, lead=EVIL, data=EVIL, source=EVIL, sections=(part,), made_by=EVIL)
    outline = Outline(evil.html())
    assert not outline.all("script")
    assert outline.all("img")[0]["alt"] == EVIL
    assert (
        "".join(outline.texts).count(EVIL) == 20
    )  # the title twice, ten in tables, the command below the picture and at the end


def test_the_page_reads_on_phones_in_the_dark_and_aloud():
    html = page().html()
    outline = Outline(html)
    assert outline.all("html") == [{"lang": "en"}]
    assert {"name": "viewport", "content": "width=device-width, initial-scale=1"} in outline.all("meta")
    assert "prefers-color-scheme: dark" in html
    assert all(header["scope"] in ("row", "col") for header in outline.all("th"))
    headings = [tag for tag, _ in outline.elements if re.fullmatch("h[1-6]", tag)]
    assert headings == ["h1", "h2", "h3", "h3", "h2", "h3", "h3", "h2"]
    assert [part["aria-labelledby"] for part in outline.all("section")] == [
        part["id"] for part in outline.all("h2") if part
    ]


def test_the_footer_is_left_out_when_there_is_nothing_to_say():
    assert not Outline(page(made_by="").html()).all("footer")


def test_save(tmp_path):
    page(title="Zähler").save(tmp_path / "index.html")
    assert (tmp_path / "index.html").read_text("utf-8") == page(title="Zähler").html()
    with pytest.raises(UnwritableOutput):
        page().save(tmp_path / "missing" / "index.html")


CONFIGS = [
    Config(7, method="cd", epochs=9, weight_decay=0.001),
    Config(
        7, method="pcd", sweeps=3, chains=11, last_statistic="mean_field", epochs=1, batch_size=13, weight_decay=0.0
    ),
    Config(7, epochs=8, learning_rate=0.123, schedule="cosine", momentum=0.375, weight_decay=0.0625, binarize="sample"),
    Config(7, epochs=6, schedule="constant", binarize="none", engine="numpy", weight_decay=0.5, seed=12345),
]


def test_the_table_of_settings_is_complete_but_for_what_nothing_uses():
    names = [str(k) for k in range(len(CONFIGS))]
    found = settings_table(dict(zip(names, CONFIGS, strict=True)), "A caption.", extra={"1": 2.5})
    assert list(found.header) == ["setting", *names]
    rows = {row[0]: row[1:] for row in found.rows}
    used = [name for name in asdict(CONFIGS[0]) if any(getattr(c, name) is not None for c in CONFIGS)]
    assert "sparsity_target" not in used
    assert {"sweeps", "chains"} < set(used)
    assert list(rows) == [*used, "extra"]
    for name in used:
        assert list(rows[name]) == [str(getattr(c, name)).replace("None", "unused") for c in CONFIGS]
    assert rows["extra"] == ("", "2.5", "", "")


@pytest.mark.parametrize("config", CONFIGS)
def test_the_method_states_every_number(config):
    config = config.for_data(4000, 784)
    text = " ".join(describe_method(config, 4000, 784))
    numbers = [config.n_hidden, config.sweeps, config.epochs, config.batch_size, config.momentum, config.weight_decay]
    for number in [*numbers, config.learning_rate, config.seed, "4,000", "784"]:
        assert re.search(rf"(?<![\d.]){re.escape(f'{number:g}' if isinstance(number, float) else str(number))}\b", text)
    assert config.engine in text
    assert f"{config.method.upper()}-{config.sweeps}" in text


def test_the_method_tells_choices_apart():
    options = [
        {"method": "cd"},
        {"method": "pcd"},
        {"method": "pcd", "chains": 3},
        {"last_statistic": "mean_field"},
        {"schedule": "constant"},
        {"schedule": "cosine"},
        {"binarize": "sample"},
        {"binarize": "none"},
        {"centered": False},
        {"optimizer": "adam"},
        {"method": "fpcd"},
        {"method": "pt"},
        {"method": "pt", "temperatures": 3},
        {"method": "exact"},
    ]
    base = {
        "epochs": 3,
        "weight_decay": 0.0,
        "method": "cd",
        "schedule": "linear",
        "binarize": "threshold",
    }
    assert len({describe_method(Config(5, **(base | option)), 10, 9) for option in options}) == len(options)


def test_every_figure_says_of_what_it_is():
    html = page(version="1.2", sections=(section(pictures=(Picture(b"", "One.", "alt", seed=2**60),)),)).html()
    (said,) = re.findall(r"<small>(.*)</small>", html)
    assert said == f"Seed {2**60}. Harmonium 1.2. <code>harmonium reproduce</code>"
    assert "<small>" not in page(made_by="").html()


def test_contents_lead_to_the_sections_and_the_origin():
    outline = Outline(page(origin={"date": "2026-01-02"}).html())
    places = [link["href"] for link in outline.all("a")]
    assert places == ["#part-1", "#part-2", "#made"]
    ids = {attributes.get("id") for _, attributes in outline.elements}
    assert {place[1:] for place in places} <= ids
    assert outline.texts[-10:].count("2026-01-02") == 1
    assert not Outline(page(sections=(section(),), made_by="").html()).all("nav")


def test_captions_of_tables_stand_outside_of_what_is_scrolled():
    """They were as wide as the table, and so cut on a phone."""
    outline = Outline(page().html())
    assert not outline.all("caption")
    labels = [table["aria-labelledby"] for table in outline.all("table")]
    assert len(labels) == len(set(labels)) == 4
    assert set(labels) <= {attributes.get("id") for attributes in outline.all("p")}


def test_wide_tables_become_cards_whose_numbers_name_their_columns():
    table = Table("Wide", ("data", "a", "b", "c"), [("test", "1", "", "3")])
    outline = Outline(page(sections=(section(settings=None, results=(table,)),)).html())
    assert [x["class"].split() for x in outline.all("table")] == [["numeric", "cards"]]
    assert [x["data-of"] for x in outline.all("td")] == ["a", "b", "c"]
    assert not any("class" in x for x in outline.all("td"))


def test_a_card_says_once_what_holds_for_all_columns():
    table = Table("T", ("setting", "a", "b", "c"), [("sweeps", "1", "1", "1"), ("seed", "0", "0", "9")])
    outline = Outline(page(sections=(section(settings=None, results=(table,)),)).html())
    assert [x.get("class") for x in outline.all("td")] == ["same"] * 3 + [None] * 3


@pytest.mark.parametrize("seconds", [0, 3])
def test_a_page_that_is_being_written_loads_itself_anew(seconds):
    wanted = [{"http-equiv": "refresh", "content": "3"}] if seconds else []
    assert [x for x in Outline(page(refresh=seconds).html()).all("meta") if "http-equiv" in x] == wanted
