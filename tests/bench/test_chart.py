"""The picture is a well-formed SVG whose bars are as long as their figures say."""

from xml.etree import ElementTree

from bench.chart import HEADING, LEFT, RIGHT, WIDTH, chart
from tests.bench.found import results

SVG = "{http://www.w3.org/2000/svg}"


def test_bars_are_to_scale_and_the_fastest_comes_first() -> None:
    root = ElementTree.fromstring(chart(results(ours=[1_000.0] * 2, streams=[4_000.0, 2_000.0])))
    bars = [each for each in root.iter(f"{SVG}rect") if each.get("x") == str(LEFT)]
    widths = [float(each.get("width", 0)) for each in bars]
    # The scale ends with the fastest round, 4,000; the medians are 3,000 and 1,000.
    assert widths == [round((RIGHT - LEFT) * share, 1) for share in (0.75, 0.25)]


def test_latency_begins_at_p50_and_ends_at_p99_on_its_scale() -> None:
    found = results(ours=[1_000.0])
    found.trials[0].figures["200/s"] |= {"p50_ms": 10.0, "p99_ms": 100.0}
    root = ElementTree.fromstring(chart(found))
    bar = list(root.iter(f"{SVG}rect"))[-1]
    ends = [float(bar.get("x", 0)), float(bar.get("x", 0)) + float(bar.get("width", 0))]
    ticks = [float(each.get("d", "")[1:].split()[0]) for each in root.iter(f"{SVG}path")][-5:]
    lines = [
        float(each.get("d", "")[1:].split()[0])
        for each in root.iter(f"{SVG}path")
        if each.get("class") == "grid"
    ]
    assert len(ticks) == len(lines) == 5
    assert [round(each) for each in ends] == [round(each) for each in lines[1:3]]


def test_it_reads_in_the_dark_and_to_those_who_do_not_see_it() -> None:
    root = ElementTree.fromstring(chart(results(ours=[1_000.0], faust=[100.0])))
    assert "prefers-color-scheme: dark" in (root.findtext(f"{SVG}style") or "")
    assert root.get("aria-label") == (
        "Orders per second: this project, one worker 1,000, stock Faust 0.15.3 (at a tenth) 100"
    )


def test_nothing_is_drawn_outside_and_no_words_are_too_long() -> None:
    """The widest letters of the fonts that are asked for take two thirds of their size, on average less than 0.56."""
    root = ElementTree.fromstring(chart(results(ours=[1_000.0], streams_eos=[900.0])))
    height = float((root.get("viewBox") or "").split()[3])
    texts = list(root.iter(f"{SVG}text"))
    assert texts and height > HEADING
    for each in texts:
        size = {"head": 15, "note": 12}.get(each.get("class", ""), 14)
        assert len(each.text or "") * size * 0.56 <= WIDTH, each.text


def test_a_missing_figure_is_not_drawn() -> None:
    found = results(ours=[1_000.0])
    del found.trials[0].figures["200/s"]
    assert "Milliseconds" not in chart(found)
