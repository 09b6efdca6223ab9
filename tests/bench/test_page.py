"""The page has all results, and hides none."""

from pathlib import Path

from bench.page import page
from bench.results import Results
from tests.bench.found import results


def line(text: str, start: str) -> str:
    """The first line that starts so."""
    return next(each for each in text.splitlines() if each.startswith(start))


def test_a_row_has_median_spread_and_the_ratio_of_rounds() -> None:
    """Ours is 2 and 3 times as fast in the two rounds."""
    found = line(page(results(ours=[400.0, 900.0], quix=[200.0, 300.0])), "Quix Streams 3.28.1  ")
    assert found.split()[3:] == [
        "250",
        "(200-300)",
        "2.50",
        "(2.00-3.00)",
        *["0.250", "0.125", "150", "20", "0.5", "3"],
    ]


def test_every_line_fits_and_every_guarantee_is_there() -> None:
    found = results(ours=[5_000.0] * 2, ours_2=[5_000.0] * 2, streams_eos=[4_000.0] * 2, faust=[400.0] * 2)
    text = page(found)
    assert max(map(len, text.splitlines())) <= 120
    assert all(each["promise"] in text for each in found.candidates)
    assert "* with a tenth of the orders" in text


def test_the_page_says_how_busy_the_main_thread_of_a_worker_was_and_old_results_lack_it() -> None:
    found = results(ours=[5_000.0], quix=[4_000.0])
    assert "main thread of the busiest worker: this project, one worker 94%" in page(found).splitlines()
    del found.trials[0].figures["backlog"]["main_percent"]
    assert "main thread" not in page(found)


def test_rates_come_in_order_and_half_the_capacity_last() -> None:
    found = results(ours=[5_000.0])
    found.trials[0].figures["50/s"] = found.trials[0].figures["200/s"]
    assert " ".join(line(page(found), "  ").split()).startswith("orders/s ours is x CPU ms broker MB loop ms")
    heads = [each for each in page(found).splitlines() if "50/s" in each and "CPU" in each]
    assert heads[0].split() == ["50/s", "CPU", "200/s", "CPU", "half", "CPU"]
    assert "CPU ms per order of the broker" in page(found)


def test_a_trial_that_went_wrong_is_named_and_its_figures_count_for_nothing() -> None:
    found = results(ours=[5_000.0, 5_000.0], quix=[9_999.0, 100.0])
    found.trials[2].wrong = "3 of 10 orders ended wrong"
    text = page(found)
    assert "WRONG quix, round 1: 3 of 10 orders ended wrong" in text
    assert "9,999" not in text and line(text, "Quix").split()[3:5] == ["100", "50.00"]


def test_a_candidate_that_is_not_measured_is_named_and_has_no_figure() -> None:
    found = results(ours=[5_000.0])
    found.missing["Restate"] = "no server for this machine"
    assert "NOT MEASURED Restate: no server for this machine" in page(found)


def test_results_survive_their_file(tmp_path: Path) -> None:
    found = results(ours=[5_000.0, 4_000.0], faust=[400.0, 410.0])
    found.save(tmp_path / "below" / "bench.json")
    assert Results.load(tmp_path / "below" / "bench.json") == found
