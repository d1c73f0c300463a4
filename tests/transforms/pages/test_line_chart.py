import pytest

from transforms.pages.line_chart import HEIGHT, MAX_POINTS, WIDTH, log_chart


def places(line):
    return [tuple(map(float, point.split(","))) for point in line.split()]


def test_values_are_placed_by_their_logarithm():
    chart = log_chart([[(0, 1.0), (50, 10.0), (100, 100.0)], [(0, 100.0)]])
    left, right, top, bottom = chart.ends
    (a, b, c), (d,) = map(places, chart.lines)
    assert a == (left, bottom)
    assert b == pytest.approx(((left + right) / 2, (top + bottom) / 2))
    assert c == (right, top)
    assert d == (left, top)
    assert {tick.text for tick in chart.y_ticks} >= {"1e0", "1e1", "1e2"}
    assert [tick.text for tick in chart.x_ticks] == ["0", "20", "40", "60", "80", "100"]


def test_what_has_no_logarithm_is_left_out():
    chart = log_chart([[(0, 0.0), (1, 2.0)], [(0, 0.0)]])
    assert len(places(chart.lines[0])) == 1
    assert chart.lines[1] == ""
    assert log_chart([[(0, 0.0)]]) is None
    assert log_chart([]) is None


@pytest.mark.parametrize("steps", [1, 3, 8, 60, 200, 3000, 12345])
@pytest.mark.parametrize("spread", [1.0, 1.001, 2.0, 1e9])
def test_long_and_flat_curves_stay_inside_and_short(steps, spread):
    curve = [(i, 5.0 * spread ** (i / steps)) for i in range(steps + 1)]
    chart = log_chart([curve])
    points = places(chart.lines[0])
    assert len(points) <= MAX_POINTS
    assert all(0 <= x <= WIDTH and 0 <= y <= HEIGHT for x, y in points)
    assert points[0][0] == chart.ends[0]
    assert points[-1][0] == pytest.approx(chart.ends[1], abs=0.1)
    assert 2 <= len(chart.x_ticks) <= 7
    assert len(chart.y_ticks) >= 2
