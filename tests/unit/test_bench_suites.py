"""What the disasters and the school year print, and that nothing is called well that was not. Never whether it was."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import date
from pathlib import Path
from random import Random

import pytest

from bench import disasters_told, ground, ground_domain, year_told
from bench.calamities import KINDS, Scene
from bench.disasters import Outcome, registered, registered_in_a_domain
from bench.exports import Export, slim
from bench.school_life import FIRST_DAY, LAST_DAY, Life, is_school_day
from bench.truth import Seen, due, numbers_of, wrongly_touched
from bench.year import SCORING, Held, Planted, Score, Size
from syncd.demo.district import District

DAY = date(2026, 10, 5)


@pytest.fixture(scope="module")
def district() -> District:
    """Two campuses with two hundred people."""
    return slim(District.generate(3, 2, 180, 20, guardians=0, first_day=DAY))


def seen_of(export: Export) -> dict[str, Seen]:
    """A directory in which everybody stands as the roster says."""
    return {
        number: Seen(
            name=f"u{number}",
            container=one.container,
            enabled=not one.left,
            number=number,
            family=one.family,
            given=one.given,
            mail=f"u{number}@{one.domain}" if one.domain else "",
        )
        for number, one in due(export, DAY).items()
    }


def test_an_export_that_follows_a_life_is_the_export_of_its_end() -> None:
    """Whatever happened on the way, the rows are those that would be made anew."""
    life = Life(3, 2, 160, 24)
    roster, export = life.first.roster, Export.of(life.first)
    for day in life.days(date(2026, 8, 12)):
        export.follow(roster, day.roster)
        roster = day.roster
        made = Export.of(day)
        assert {name: file.rows for name, file in export.files.items()} == {name: file.rows for name, file in made.files.items()}


def test_the_year_has_two_hundred_school_days() -> None:
    """Breaks and weekends are none."""
    span = range(FIRST_DAY.toordinal(), LAST_DAY.toordinal() + 1)
    assert sum(is_school_day(date.fromordinal(day)) for day in span) == 200


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind != "old file again"])
@pytest.mark.parametrize("turn", [0, 1, 2])
def test_every_calamity_spoils_something_about_those_it_names(district: District, kind: str, turn: int) -> None:
    """The export is another one, and what is said of somebody named is not what was said."""
    good, bad = Export.of(district), Export.of(district)
    hit = KINDS[kind](bad, Scene("org-001", 0.3, DAY, Random(1), turn))
    assert hit <= good["users"].rows.keys()
    assert _lines(good) != _lines(bad)
    named = {word for line in _lines(good) ^ _lines(bad) for cell in line for word in (cell, *cell.split("."))}
    assert hit <= named, hit - named


def _lines(export: Export) -> set[tuple[str, ...]]:
    """Every line of every file; one that stands behind the others says so."""
    told = {(name, *row) for name, file in export.files.items() for row in file.rows.values()}
    return told | {
        ("once more", name, *row, row[0].removeprefix("dup-")) for name, file in export.files.items() for row in file.more
    }


def test_whoever_is_as_the_roster_says_was_not_wrongly_touched(district: District) -> None:
    """And everything else was: each kind of harm by its name."""
    good = Export.of(district)
    before = seen_of(good)
    truth = due(good, DAY)
    native, one = next(iter(before.items()))
    assert wrongly_touched(before, dict(before), truth) == {}
    for harm, word in (
        ({"enabled": False}, "disabled"),
        ({"container": "ou=elsewhere"}, "moved"),
        ({"name": "other"}, "renamed"),
        ({"family": "Other"}, "family name"),
        ({"given": "Other"}, "given name"),
        ({"mail": "other@example.org"}, "mail"),
        ({"number": ""}, "number"),
    ):
        told = {field: getattr(one, field) for field in one.__dataclass_fields__}
        assert word in wrongly_touched(before, {**before, native: Seen(**{**told, **harm})}, truth)[native]
    assert wrongly_touched(before, {key: one for key, one in before.items() if key != native}, truth) == {native: "deleted"}
    assert wrongly_touched(before, {**before, "twin": one}, truth) == {"twin": "made twice"}


def test_whoever_has_another_number_in_the_good_roster_was_not_wrongly_given_it(district: District) -> None:
    """By the state's number they are who they were: theirs may follow, no other's may, and nobody gets a second account."""
    good = Export.of(district)
    before, earlier = seen_of(good), numbers_of(good)
    key, row = next((key, row) for key, row in good["users"].rows.items() if row[good["users"].at("userIds")])
    old = row[good["users"].at("identifier")]
    good["users"].put(key, "identifier", "987654")
    truth, one = due(good, DAY), before[old]
    assert wrongly_touched(before, {**before, old: replace(one, number="987654")}, truth, earlier) == {}
    assert "number" in wrongly_touched(before, {**before, old: replace(one, number="987654")}, truth)[old]
    assert "number" in wrongly_touched(before, {**before, old: replace(one, number="123")}, truth, earlier)[old]
    assert "family name" in wrongly_touched(before, {**before, old: replace(one, family="Other")}, truth, earlier)[old]
    assert wrongly_touched(before, {**before, old: replace(one, enabled=False)}, truth, earlier) == {}  # not recognised: gone
    assert wrongly_touched(before, {**before, "new": replace(one, number="987654")}, truth, earlier) == {"new": "made twice"}


def test_the_rows_of_the_disasters_are_the_promised_ones(tmp_path: Path) -> None:
    """`{id, ok, wrongly_touched, held_cells, updated}`; the page names every disaster played."""
    outcomes = [Outcome(one.id, one.group, (), 0, 1, 59, 59) for one in registered()]
    outcomes[0] = Outcome("header-typo", "source", ("3 accounts: disabled",), 3, 0, 0, 0)
    rows = json.loads(disasters_told.as_json(outcomes))
    assert rows[0] == {"id": "header-typo", "ok": False, "wrongly_touched": 3, "held_cells": 0, "updated": 0}
    assert {row["ok"] for row in rows[1:]} == {True}
    disasters_told.write_page(outcomes, ground.FULL, tmp_path / "page.md")
    page = (tmp_path / "page.md").read_text("utf-8")
    assert [one.id for one in registered() if f"| {one.id} |" not in page] == []
    assert "header-typo: 3 accounts: disabled" in page


def test_the_page_has_two_parts_and_each_way_of_playing_writes_its_own(tmp_path: Path) -> None:
    """The other part is left as it was, whichever was written first."""
    page = tmp_path / "page.md"
    slapd = [Outcome(one.id, one.group, (), 0, 1, 59, 59) for one in registered()]
    domain = [Outcome(one.id, one.group, (), 0, 1, 19, 19) for one in registered_in_a_domain()]
    disasters_told.write_page(slapd, ground.FULL, page)
    alone = page.read_text("utf-8")
    disasters_told.write_page(domain, ground_domain.FULL, page, in_a_domain=True)
    both = page.read_text("utf-8")
    assert both.startswith(alone.rstrip("\n"))
    assert [one.id for one in registered_in_a_domain() if f"| {one.id} |" not in both] == []
    disasters_told.write_page(slapd, ground.FULL, page)
    assert page.read_text("utf-8") == both
    disasters_told.write_page(domain[:1], ground_domain.FULL, page, in_a_domain=True)
    assert page.read_text("utf-8").count("not played") == len(domain) - 1


def test_a_year_is_well_with_three_false_holds_and_nothing_missed() -> None:
    """A fourth is too many, and so is one disaster that got through."""
    caught = Planted("campus vanishes", DAY, 1.0, 400, caught=True, how="run held")
    held = [Held(DAY, "source sis: something")] * 3
    score = Score(SCORING, Size(1, 1, 1), false_holds=held, planted=[caught])
    assert year_told.ok(score)
    assert not year_told.ok(Score(SCORING, Size(1, 1, 1), false_holds=[*held, held[0]], planted=[caught]))
    missed = Planted("keys renumbered", DAY, 0.08, 34, caught=False, how="nothing changed", touched={"made twice": 34})
    assert not year_told.ok(Score(SCORING, Size(1, 1, 1), planted=[caught, missed]))
    assert json.loads(year_told.as_json(score))["ok"] is True
    assert "missed on 2026-10-05: keys renumbered, 8% of a campus, 34 people: 34 made twice" in "\n".join(
        year_told.in_words(Score(SCORING, Size(1, 1, 1), planted=[missed]))
    )
