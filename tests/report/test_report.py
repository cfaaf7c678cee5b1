"""`gradprof report`: the answer in words, figures by hand, the table in any terminal, JSON and CSV."""

from __future__ import annotations

import argparse
import csv
import io
import json
import math
import os
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from rich.cells import cell_len

from gradprof.read.run import Run, load
from gradprof.report.answer import answer_text
from gradprof.report.command import _SORT_KEYS, add_parser
from gradprof.report.figures import SiteFigures, site_figures
from gradprof.report.sparkline import ASCII, BLOCKS, sparkline
from runs import ASSORTED, ASSORTED_STEPS, Values, event_file, record_of, write_gradients, write_run

NAN, INF = math.nan, math.inf


@pytest.fixture(autouse=True)
def plain_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """What would make rich believe in another terminal than the test's."""
    for name in ("FORCE_COLOR", "NO_COLOR", "TTY_COMPATIBLE", "TTY_INTERACTIVE", "COLUMNS", "LINES"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    return load(write_gradients(tmp_path_factory.mktemp("runs") / "exp1", ASSORTED, ASSORTED_STEPS).parent)


def run_of(tmp_path: Path, gradients: dict[str, list[Values]], **options: Any) -> Run:
    return load(write_gradients(tmp_path, gradients, **options))


def report(*argv: str | Path) -> int:
    """What `gradprof report` does with these arguments; its exit status."""
    parser = argparse.ArgumentParser()
    add_parser(parser.add_subparsers())
    args = parser.parse_args(["report", *map(str, argv)])
    status: int = args.run_command(args)
    return status


# --- the answer in words -----------------------------------------------------------------------------


def test_answer_yes_and_unknown_and_non_finite(run: Run) -> None:
    assert answer_text(run).splitlines() == [
        "Did any partial gradient reach 1 in magnitude?",
        "  Yes, of parameters: 2 of 14 values, in 2 of 4 steps;",
        "    first at step 5 in param/layer.weight;",
        "    the largest was 2, at step 5 in param/layer.weight.",
        "  No, w.r.t. module outputs: none of 7 values;",
        "    the largest was 0.001, at step 8 in output/layer.",
        "  NaN or inf: 4 values in 3 sites, first at step 3 in output/layer.",
    ]


def test_answer_no(tmp_path: Path) -> None:
    gradients = {"param/a": [[0.25, 0.0], [0.125, 0.5]], "input/b": [[1e-9], [2e-9]]}
    assert answer_text(run_of(tmp_path, gradients)).splitlines() == [
        "Did any partial gradient reach 1 in magnitude?",
        "  No, of parameters: none of 4 values;",
        "    the largest was 0.5, at step 1 in param/a.",
        "  No, w.r.t. module inputs: none of 2 values;",
        "    the largest was 2e-09, at step 1 in input/b.",
    ]


def test_answer_at_exactly_the_threshold(tmp_path: Path) -> None:
    run = run_of(tmp_path, {"param/a": [[0.125], [-0.25]]}, threshold=0.25)
    assert answer_text(run).splitlines() == [
        "Did any partial gradient reach 0.25 in magnitude?",
        "  Yes, of parameters: 1 of 2 values, in 1 of 2 steps;",
        "    first at step 1 in param/a;",
        "    the largest was 0.25, at step 1 in param/a.",
    ]


def test_answer_does_not_round_up_to_the_threshold(tmp_path: Path) -> None:
    below = float(np.nextafter(np.float32(1), np.float32(0)))
    text = answer_text(run_of(tmp_path, {"param/a": [[below]]}))
    assert "No, of parameters" in text
    assert f"the largest was {below}," in text


def test_answer_with_large_numbers(tmp_path: Path) -> None:
    values = np.full(1500, 0.5)
    values[:1200] = 1234.5
    text = answer_text(run_of(tmp_path, {"param/a": [values] * 2, "param/b": [[0.0], [1e4]]}))
    assert "2,401 of 3,002 values, in 2 of 2 steps;" in text
    assert "first at step 0 in param/a;" in text
    assert "the largest was 1e+04, at step 1 in param/b." in text


def test_answer_when_nothing_finite_came(tmp_path: Path) -> None:
    assert answer_text(run_of(tmp_path, {"param/a": [[NAN, INF], [NAN]], "output/b": [None, [1.0]]})) == (
        "Did any partial gradient reach 1 in magnitude?\n"
        "  Unknown, of parameters: none of 3 values was finite.\n"
        "  Yes, w.r.t. module outputs: 1 of 1 values, in 1 of 2 steps;\n"
        "    first at step 1 in output/b;\n"
        "    the largest was 1, at step 1 in output/b.\n"
        "  NaN or inf: 3 values in 1 site, first at step 0 in param/a."
    )


def test_answer_unknown(tmp_path: Path) -> None:
    unknown = (
        "Did any partial gradient reach 1 in magnitude?\n  Unknown: no gradient was recorded in this run."
    )
    assert answer_text(run_of(tmp_path / "none came", {"param/a": [None, None]})) == unknown
    assert answer_text(run_of(tmp_path / "no steps", {"param/a": []})) == unknown


# --- figures of the rows ---------------------------------------------------------------------------


def logs(*values: float) -> np.ndarray:
    return np.array([math.log10(value) if value > 0 else NAN for value in values])


BY_HAND = {
    "param/layer.weight": (0.75, logs(0.5, math.sqrt(4.01), 0.3, 1.0)),
    "param/layer.never": (NAN, logs(*[NAN] * 4)),
    "param/layer.dead": (0.0, logs(*[NAN] * 4)),
    "output/layer": ((math.hypot(1e-3, 1e-4) + 1e-5) / 2, logs(NAN, NAN, math.hypot(1e-3, 1e-4), 1e-5)),
    "output/broken": (NAN, logs(*[NAN] * 4)),
}


@pytest.mark.parametrize("order", range(5))
def test_medians_and_curves_by_hand(run: Run, order: int) -> None:
    figures = site_figures(run)[order]
    median, log10_l2 = BY_HAND[figures.totals.site]
    np.testing.assert_allclose(figures.l2_median, median, rtol=1e-12)
    np.testing.assert_allclose(figures.log10_l2, log10_l2, rtol=1e-12)


def test_a_blow_up_at_the_end_is_not_a_norm_of_zero(tmp_path: Path) -> None:
    (figures,) = site_figures(run_of(tmp_path, {"param/a": [[2.0], [4.0], None, [NAN], [NAN]]}))
    assert figures.l2_median == 3
    assert math.isnan(figures.totals.l2_last)


# --- sparklines ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("values", "width", "expected"),
    [
        ([], 10, ""),
        ([5.0], 10, "▄"),
        ([NAN], 10, " "),
        ([2.0] * 4, 10, "▄▄▄▄"),
        (list(range(8)), 10, "▁▂▃▄▅▆▇█"),
        ([7, 0], 10, "█▁"),
        ([0.0, NAN, 7.0, INF, -INF], 10, "▁ █  "),
        ([NAN, NAN, NAN], 10, "   "),
        ([0, 0, 0, 9, 0, 0, 0, 0], 4, "▁█▁▁"),
        ([9, 0, 9, 9, 0, 0], 3, "██▁"),
        ([NAN, 1.0, NAN, NAN, 0.0, 0.0], 3, "█ ▁"),
        ([-7.0, -3.5, 0.0], 3, "▁▅█"),
    ],
)
def test_sparkline(values: list[float], width: int, expected: str) -> None:
    assert sparkline(np.array(values, dtype=np.float64), width) == expected


def test_sparkline_in_ascii() -> None:
    assert sparkline(np.arange(8.0), 8, ASCII) == ASCII == "_.-~=+*#"
    assert sparkline(np.ones(3), 8, ASCII) == "~~~"
    assert len(BLOCKS) == len(ASCII)


def test_one_spike_in_a_long_run_shows() -> None:
    for at in (0, 499, 777, 999):
        values = np.zeros(1000)
        values[at] = 1
        drawn = sparkline(values, 10)
        assert drawn == "".join("█" if i == at // 100 else "▁" for i in range(10))


# --- in a terminal ---------------------------------------------------------------------------------


class Screen(io.TextIOWrapper):
    """Stands for stdout."""

    def __init__(self, terminal: bool, encoding: str = "utf-8") -> None:
        super().__init__(io.BytesIO(), encoding=encoding, write_through=True)
        self._terminal = terminal

    def isatty(self) -> bool:
        return self._terminal

    def text(self) -> str:
        return self.buffer.getvalue().decode(self.encoding)  # type: ignore[attr-defined]

    def lines(self) -> list[str]:
        """Without escape codes."""
        return re.sub(r"\x1b\[[0-9;]*m", "", self.text()).splitlines()


def shown(monkeypatch: pytest.MonkeyPatch, screen: Screen, *argv: str | Path) -> list[str]:
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.setenv("COLUMNS", "80")
    with monkeypatch.context() as patch:
        patch.setattr("sys.stdout", screen)
        assert report(*argv) == 0
    return screen.lines()


LONG = "backbone.encoder.layers.11.self_attention.output_projection.weight"
WIDE: dict[str, list[Values]] = {
    f"param/{LONG}": [[10.0 ** (k - 9), 0.0] for k in range(18)],
    "param/short": [[0.001, NAN]] * 18,
    "output/huge": [[1e300, 1e-300] + [0.0] * 1000] * 18,
    "output/[bold]x[/bold]": [[1e-300]] * 18,
    "input/größe·中文中文中文中文中文中文中文": [[0.5]] * 17 + [[1.0]],
}


@pytest.fixture
def wide_run(tmp_path: Path) -> Path:
    """Figures as wide as they get: six-digit steps, exponents of three digits."""
    write_gradients(tmp_path / "exp1", WIDE, steps=range(100_000, 100_018), threshold=0.25)
    return tmp_path / "exp1"


def test_80_columns_hold_every_figure(monkeypatch: pytest.MonkeyPatch, wide_run: Path) -> None:
    screen = Screen(terminal=True)
    lines = shown(monkeypatch, screen, wide_run)
    assert "\x1b[1m" in screen.text()
    assert max(map(len, lines)) <= 80
    by_name = {line.split()[0]: line.split()[1:] for line in lines if line}
    spark = sparkline(np.arange(18.0), 10)
    shortened = next(name for name in by_name if name.startswith("back"))
    assert by_name[shortened] == ["1.0e+08", "100017", "5.5e-01", "1.0e+08", "50%", "25%", "-", spark]
    assert by_name["short"] == ["1.0e-03", "100000", "1.0e-03", "1.0e-03", "-", "-", "100000", "▄" * 10]
    huge = ["1.0e+300", "100000", "1.0e+300", "1.0e+300", "100%", "0.10%", "-", "▄" * 10]
    assert by_name["huge"] == huge
    assert by_name["[bold]x[/bold]"][0] == "1.0e-300"


def test_long_names_are_shortened_in_the_middle(monkeypatch: pytest.MonkeyPatch, wide_run: Path) -> None:
    lines = shown(monkeypatch, Screen(terminal=True), wide_run)
    name = next(line for line in lines if line.startswith("back")).split()[0]
    start, end = name.split("…")
    assert LONG.startswith(start)
    assert LONG.endswith(end)
    assert len(start) >= 4
    assert len(end) >= 8
    assert len(name) >= 18


def test_a_wider_terminal_has_the_whole_name(monkeypatch: pytest.MonkeyPatch, wide_run: Path) -> None:
    screen = Screen(terminal=True)
    monkeypatch.setattr("sys.stdout", screen)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "140")
    report(wide_run)
    assert LONG in screen.text()
    assert max(map(len, screen.lines())) <= 140


def test_wide_characters_leave_room_for_the_figures(monkeypatch: pytest.MonkeyPatch, wide_run: Path) -> None:
    lines = shown(monkeypatch, Screen(terminal=True), wide_run, "--filter", "input/*")
    (line,) = (line for line in lines if line.startswith("größe"))
    assert "…" in line
    assert cell_len(line) <= 80
    assert line.split()[-8:-1] == ["1.0e+00", "100017", "5.0e-01", "1.0e+00", "-", "100%", "-"]


def test_an_ascii_terminal(monkeypatch: pytest.MonkeyPatch, wide_run: Path) -> None:
    lines = shown(
        monkeypatch, Screen(True, "ascii"), wide_run, *("--filter", "param/*"), *("--filter", "huge")
    )
    assert max(map(len, lines)) <= 80
    heading = next(line for line in lines if line.startswith("param"))
    assert " ".join(heading.split()) == "param max |g| at L2 med L2 last zero >=0.25 NaN at log10 L2"
    name = next(line for line in lines if line.startswith("back")).split()[0]
    assert "~" in name
    assert any(line.endswith(f" {sparkline(np.arange(18.0), 10, ASCII)}") for line in lines)


# --- piped -----------------------------------------------------------------------------------------


def test_piped_names_are_whole_and_plain(
    monkeypatch: pytest.MonkeyPatch, wide_run: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    report(wide_run)
    out = capsys.readouterr().out
    assert "\x1b" not in out
    for label in WIDE:
        assert any(line.startswith(label.partition("/")[2] + " ") for line in out.splitlines()), label
    assert "…" not in out


def test_piped_ascii(monkeypatch: pytest.MonkeyPatch, wide_run: Path) -> None:
    lines = shown(monkeypatch, Screen(False, "ascii"), wide_run, "--filter", "param/*")
    (line,) = (line for line in lines if line.startswith(LONG))
    assert line.split()[1:3] == ["1.0e+08", "100017"]


def test_piped_by_hand(run: Run, capsys: pytest.CaptureFixture[str]) -> None:
    assert report(run.path.parent) == 0
    lines = [line.rstrip() for line in capsys.readouterr().out.splitlines()]
    assert lines[0] == f"{run.path.parent}: Synthetic, 4 steps (3 to 9)"
    assert [line.split() for line in lines if line.startswith("layer")] == [
        ["layer.weight", "2.0e+00", "5", "7.5e-01", "1.0e+00", "25%", "25%", "8", "▃█▁▅"],
        ["layer.never", *"-------"],
        ["layer.dead", "0.0e+00", "3", "0.0e+00", "0.0e+00", "100%", "-", "-"],
        ["layer", "1.0e-03", "8", "5.1e-04", "1.0e-05", "17%", "-", "3", "█▁"],
    ]
    assert [line.split()[0] for line in lines if " max |g| " in line] == ["param", "output"]
    assert "\n".join(lines).endswith(answer_text(run))
    assert "Training waited" not in "\n".join(lines)
    assert "incomplete" not in "\n".join(lines)


@pytest.mark.parametrize(
    ("n_zero", "n", "expected"),
    [(0, 10, "-"), (1, 20_000, "<.01%"), (2, 20_000, "0.01%"), (1, 150, "0.67%"), (1, 4, "25%")],
)
def test_shares(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], n_zero: int, n: int, expected: str
) -> None:
    write_gradients(tmp_path, {"param/a": [[0.0] * n_zero + [0.5] * (n - n_zero)]})
    report(tmp_path)
    (line,) = (line for line in capsys.readouterr().out.splitlines() if line.startswith("a "))
    assert line.split()[5] == expected


def test_a_truncated_run_and_waiting_are_reported(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    records = [record_of(step, [[1.0]], wait=0.75) for step in range(2)]
    path = write_run(tmp_path, ["param/a"], records)
    with path.open("ab") as file:
        file.write(b"the start of a record")
    report(tmp_path)
    out = capsys.readouterr().out
    assert "The last record is incomplete: the run was cut off, or is being written." in out
    assert "Training waited 1.50 s for the writer." in out


def test_a_run_without_steps(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_run(tmp_path, ["param/a"], [])
    report(tmp_path)
    out = capsys.readouterr().out
    assert out.splitlines()[0].endswith(": Synthetic, 0 steps")
    assert "Unknown: no gradient was recorded" in out


# --- for programs ----------------------------------------------------------------------------------


def shown_of(figures: SiteFigures) -> dict[str, Any]:
    return {**vars(figures.totals), **vars(figures)}


def parsed_json(text: str) -> dict[str, Any]:
    def refuse(constant: str) -> None:
        raise AssertionError(f"{constant} is not JSON")

    document: dict[str, Any] = json.loads(text, parse_constant=refuse)
    return document


def test_json(run: Run, capsys: pytest.CaptureFixture[str]) -> None:
    assert report(run.path.parent, "--json") == 0
    document = parsed_json(capsys.readouterr().out)
    sites = document.pop("sites")
    assert document == {
        "run": str(run.path.parent),
        "steps": 4,
        "threshold": 1.0,
        "truncated": False,
        "seconds_in_profiler": 0.0,
        "seconds_waited_for_writer": 0.0,
        "answer": answer_text(run).splitlines(),
    }
    assert [site["site"] for site in sites] == run.sites
    for site, figures in zip(sites, site_figures(run), strict=True):
        for name, value in site.items():
            expected = shown_of(figures)[name]
            if name == "log10_l2":
                np.testing.assert_array_equal(np.array(value, dtype=np.float64), expected)
            else:
                assert value == (None if isinstance(expected, float) and math.isnan(expected) else expected)
    assert sites[1]["abs_max"] is sites[1]["abs_max_step"] is sites[1]["zero_share"] is None
    assert sites[3]["log10_l2"][:2] == [None, None]


def test_json_has_no_infinite_time(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = write_run(tmp_path, ["param/a"], [record_of(0, [[1.0]], seconds=math.nan, wait=math.inf)])
    report(path.parent, "--json")
    document = parsed_json(capsys.readouterr().out)
    assert document["seconds_in_profiler"] is document["seconds_waited_for_writer"] is None


def test_json_has_no_infinity_either(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_gradients(tmp_path, {"param/a": [[1.7e308] * 4]})
    report(tmp_path, "--json")
    (site,) = parsed_json(capsys.readouterr().out)["sites"]
    assert site["abs_max"] == 1.7e308
    assert site["l2_last"] is site["l2_median"] is None


def test_csv(run: Run, capsys: pytest.CaptureFixture[str]) -> None:
    assert report(run.path.parent, "--csv") == 0
    out = capsys.readouterr().out
    rows = list(csv.DictReader(io.StringIO(out)))
    assert [row["site"] for row in rows] == run.sites
    for row, figures in zip(rows, site_figures(run), strict=True):
        for name, text in row.items():
            value = shown_of(figures)[name]
            if value is None or value != value:
                assert text == "", name
            else:
                assert type(value)(text) == value, name
    assert "log10_l2" not in rows[0]
    assert "\r" not in out


def test_csv_quotes_names(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_gradients(tmp_path, {'param/a,"b"': [[1.0]]})
    report(tmp_path, "--csv")
    (row,) = csv.DictReader(io.StringIO(capsys.readouterr().out))
    assert row["site"] == 'param/a,"b"'


def test_one_form_only(run: Run, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        report(run.path.parent, "--json", "--csv")
    assert "not allowed with argument" in capsys.readouterr().err


# --- what is shown ---------------------------------------------------------------------------------

TO_SORT: dict[str, list[Values]] = {
    "param/bravo": [None, None],
    "param/delta": [[4.0, 0.0, 0.0, 0.0], [0.8, NAN, NAN, NAN]],
    "param/alpha": [[2.0, 2.0, 2.0, 2.0], [0.9, NAN, INF, 0.0]],
    "param/charlie": [[3.0, 3.0, 0.0, 0.0], [0.7, 0.0, NAN, 0.0]],
}
ORDERS = {
    "order": "bravo delta alpha charlie",
    "name": "alpha bravo charlie delta",
    "max": "delta charlie alpha bravo",
    "l2": "charlie alpha delta bravo",
    "last": "alpha delta charlie bravo",
    "zero": "charlie delta alpha bravo",
    "above": "alpha charlie delta bravo",
    "nonfinite": "delta alpha charlie bravo",
}


@pytest.mark.parametrize("key", ORDERS)
def test_sort(tmp_path: Path, capsys: pytest.CaptureFixture[str], key: str) -> None:
    write_gradients(tmp_path, TO_SORT)
    expected = ORDERS[key].split()
    report(tmp_path, "--sort", key, "--csv")
    rows = csv.DictReader(io.StringIO(capsys.readouterr().out))
    assert [row["site"].removeprefix("param/") for row in rows] == expected
    report(tmp_path, "--sort", key)
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines if line.split() and line.split()[0] in expected] == expected


def test_every_sort_key_is_tested() -> None:
    assert list(ORDERS) == list(_SORT_KEYS)
    assert len(set(ORDERS.values())) == len(ORDERS)


def test_an_unknown_sort_key_lists_the_keys(run: Run, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        report(run.path.parent, "--sort", "size")
    message = capsys.readouterr().err
    assert all(key in message for key in ORDERS)


@pytest.mark.parametrize(
    ("patterns", "expected"),
    [
        (["param/*"], ["param/layer.weight", "param/layer.never", "param/layer.dead"]),
        (["layer"], ["output/layer"]),
        (["*.dead", "output/b*"], ["param/layer.dead", "output/broken"]),
    ],
)
def test_filter(
    run: Run, capsys: pytest.CaptureFixture[str], patterns: list[str], expected: list[str]
) -> None:
    filters = [word for pattern in patterns for word in ("--filter", pattern)]
    report(run.path.parent, "--json", *filters)
    document = parsed_json(capsys.readouterr().out)
    assert [site["site"] for site in document["sites"]] == expected


def test_the_answer_is_about_what_is_shown(run: Run, capsys: pytest.CaptureFixture[str]) -> None:
    report(run.path.parent, "--filter", "output/layer")
    out = capsys.readouterr().out
    assert "none of 6 values" in out
    assert "NaN or inf: 2 values in 1 site, first at step 3 in output/layer." in out
    assert "parameters" not in out


def test_a_filter_without_a_match_lists_near_names(run: Run, capsys: pytest.CaptureFixture[str]) -> None:
    assert report(run.path.parent, "--filter", "layer", "--filter", "weight") == 2
    assert capsys.readouterr().err.startswith(
        "gradprof report: error: pattern 'weight' matches none of the 5 sites; near names: param/layer.weight"
    )


# --- which run -------------------------------------------------------------------------------------


def test_the_latest_run_below_runs_is_the_default(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name, age in (("a", 10), ("deep/newest", 0), ("z", 20)):
        directory = tmp_path / "runs" / name
        write_gradients(directory, {"param/a": [[1.0]]})
        os.utime(event_file(directory), (1e9 - age, 1e9 - age))
    monkeypatch.chdir(tmp_path)
    report("--json")
    assert parsed_json(capsys.readouterr().out)["run"] == str(Path("runs/deep/newest"))


def test_no_run_anywhere_says_how_to_make_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert report() == 2
    expected = "there is no run below 'runs': name one, or make one with: gradprof demo"
    assert capsys.readouterr().err == f"gradprof report: error: {expected}\n"
    assert report("elsewhere") == 2
    assert capsys.readouterr().err == "gradprof report: error: there is no run 'elsewhere'\n"
