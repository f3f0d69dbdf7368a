from __future__ import annotations

from pathlib import Path

import pytest

from tools.testreport import Counts, ReportError, main, parse, read

SUITE = '<testsuite errors="{e}" failures="{f}" skipped="{s}" tests="{t}" time="1.5"/>'


@pytest.mark.parametrize(
    ("text", "counts"),
    [
        pytest.param(SUITE.format(e=0, f=0, s=0, t=3), Counts(3, 0, 0, 1.5), id="all passed"),
        pytest.param(SUITE.format(e=1, f=2, s=1, t=9), Counts(5, 3, 1, 1.5), id="mixed"),
        pytest.param(SUITE.format(e=1, f=0, s=0, t=0), Counts(0, 1, 0, 1.5), id="not collected"),
        pytest.param("<testsuites/>", Counts(), id="no suite"),
    ],
)
def test_counts_of_one_report(text: str, counts: Counts) -> None:
    assert parse(text) == counts


def test_a_list_of_suites_is_added_up() -> None:
    one = SUITE.format(e=0, f=1, s=0, t=2)
    assert parse(f"<testsuites>{one}{one}</testsuites>") == Counts(2, 2, 0, 3.0)


def test_a_broken_report_names_its_file(tmp_path: Path) -> None:
    (tmp_path / "a.xml").write_text("<testsuite")
    with pytest.raises(ReportError, match=r"a\.xml: not XML"):
        read([tmp_path / "a.xml"])


@pytest.mark.parametrize(
    ("failures", "tests", "status"),
    [
        pytest.param(0, 2, 0, id="passed"),
        pytest.param(1, 2, 1, id="failed"),
        pytest.param(0, 0, 1, id="nothing ran"),
    ],
)
def test_closing_line_and_status(
    failures: int,
    tests: int,
    status: int,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    (tmp_path / "x.xml").write_text(SUITE.format(e=0, f=failures, s=0, t=tests))
    assert main([str(tmp_path)]) == status
    last = capsys.readouterr().out.splitlines()[-1]
    assert last == f"{tests - failures} passed, {failures} failed, 0 skipped"
