"""The measuring itself is right. No figure is asserted here, and nothing is timed but a simulated clock."""

from __future__ import annotations

import json
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta

import pytest

from pipeline.channels import known_networks
from pipeline.clock import VirtualClock
from tests.bench import scene, table
from tests.bench.__main__ import MEASURES, main
from tests.bench.measuring import Measure, Pair, Promise, Side, compare, forget, run

START = datetime(2018, 1, 1, tzinfo=UTC)


class Play:
    """Two sides that take as long as they are told, on a clock that only they move."""

    def __init__(self, ours, baseline, *, times=1):
        self.clock = VirtualClock(START)
        self.happened = []
        self.pair = Pair("play", self._side("ours", ours, times), self._side("baseline", baseline, times))

    def _side(self, name, lengths, times):
        left = iter(lengths)

        def work():
            self.happened.append(name)
            self.clock.advance(timedelta(seconds=next(left)))

        def before():
            self.happened.append(f"before {name}")
            self.clock.advance(timedelta(hours=1))

        return Side(f"what {name} does", work, times, before)

    def timer(self):
        return (self.clock.now() - START).total_seconds()

    def compare(self, rounds, **more):
        return compare(self.pair, rounds, timer=self.timer, **more)


def test_the_sides_take_turns_and_each_round_is_prepared():
    play = Play([1, 1], [1, 1])
    play.compare(2)
    assert play.happened == ["before ours", "ours", "before baseline", "baseline"] * 2


def test_the_best_round_of_each_side_counts_and_preparing_does_not():
    figure = Play([9, 6, 8], [2, 5, 3]).compare(3)
    assert figure.ours == (9, 6, 8)
    assert figure.baseline == (2, 5, 3)
    assert figure.ratio == 3
    assert table.spreads(figure) == "50%, 150%"


def test_a_round_of_many_is_told_for_one():
    figure = Play([1, 2, 3, 6], [1, 1, 2, 2], times=2).compare(2)
    assert figure.ours == (1.5, 4.5)
    assert figure.baseline == (1, 2)
    assert figure.ratio == 1.5


def test_what_takes_long_is_run_as_often_as_it_says(tmp_path):
    played = []

    @contextmanager
    def pairs(folder, rounds):
        played.append((folder, rounds))
        yield [Play([1] * rounds, [1] * rounds).pair]

    (once,) = run(Measure("long", pairs, most_rounds=1), tmp_path, 7)
    (often,) = run(Measure("short", pairs), tmp_path, 7)
    assert (once.rounds, often.rounds) == (1, 7)
    assert played == [(tmp_path, 1), (tmp_path, 7)]
    assert table.spreads(once) == "one round"


@pytest.mark.parametrize(("took", "verdict"), [(29, "kept"), (31, "NOT kept in this run")])
def test_a_promise_is_told_and_nothing_fails_by_it(took, verdict):
    figure = Play([took], [1]).compare(1, promise=Promise("a year", 30))
    assert f"Promised: a year in under 30.0 s. It took {took}.0 s: {verdict}." in table.text([figure])
    assert json.loads(table.as_json([figure]))["figures"][0]["promise"]["kept"] is (took < 30)


def test_the_table_says_what_both_sides_did_and_both_times():
    row = table.markdown([Play([0.5], [0.000025]).compare(1)]).splitlines()[-1]
    assert row == "| play | 20000× | 500 ms | 25.0 µs | one round | what ours does | what baseline does |"


def test_the_page_keeps_what_is_around_the_table():
    page = f"before\n{table.BEGIN}\nold\n{table.END}\nafter\n"
    figures = [Play([1], [1]).compare(1)]
    made = table.rewritten(page, figures)
    assert made.startswith(f"before\n{table.BEGIN}\n")
    assert made.endswith(f"{table.END}\nafter\n")
    assert "old" not in made
    assert table.rewritten(made, figures) == made
    with pytest.raises(ValueError, match=r"there is no `<!-- from tests\.bench: begin -->`"):
        table.rewritten("a page without markers", figures)


def test_a_cold_run_finds_the_caches_of_the_pipeline_empty():
    from pipeline.wallclock import instant

    day = scene.campaign(1, "outbox")
    instant(scene.FIRST, day.posting.time, day.event.zone)
    assert instant.cache_info().currsize > 0
    forget()
    assert instant.cache_info().currsize == 0


def test_the_same_entries_every_time_and_every_network_has_its_options():
    assert scene.entry_text(7) == scene.entry_text(7) != scene.entry_text(8)
    assert len(scene.post("outbox").summary) > 400
    assert tuple(sorted(scene.CHANNELS)) == known_networks()


def test_a_real_measure_is_written_as_json_that_can_be_read(tmp_path, capsys):
    file = tmp_path / "bench.json"
    assert main(["plan", "--rounds", "2", "--json", str(file)]) == 0
    (row,) = json.loads(file.read_text(encoding="utf-8"))["figures"]
    assert row["name"] == "plan"
    assert [len(row[side]["seconds"]) for side in ("ours", "baseline")] == [2, 2]
    assert row["ratio"] == min(row["ours"]["seconds"]) / min(row["baseline"]["seconds"])
    assert row["baseline"]["what"] in capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["plam"], "there is no measure `plam`. There are: check, plan, "),
        (["plan", "--rounds", "0"], "--rounds 0: at least one round is needed"),
        (["plan", "--markdown", "no.md"], "--markdown writes the whole table: name no measure beside it"),
        (["--markdown", "no.md"], "--markdown no.md: No such file or directory"),
        (["--markdown", "README.md"], "--markdown README.md: there is no `<!-- from tests.bench: begin -->`"),
        (["plan", "--json", "no/file"], "--json no/file: there is no such folder; make it first"),
    ],
)
def test_wrong_use_is_told_before_anything_is_measured(words, told, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "README.md").write_text("# A page without a table\n")
    with pytest.raises(SystemExit) as ended:
        main(words)
    assert ended.value.code == 2
    said = capsys.readouterr().err
    assert told in said
    assert "measuring" not in said


def test_every_measure_is_on_the_page_of_performance():
    from tests.bench.__main__ import PAGE

    page = PAGE.read_text(encoding="utf-8")
    assert page.count(table.BEGIN) == page.count(table.END) == 1
    for name in MEASURES:
        assert f"`{name}`" in page
