"""Which products stay in float: within the time, for what they cost, and never all of them."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from bertcompress.search.mixed_precision import Costs, spared


@given(
    st.lists(st.tuples(st.floats(0, 1), st.floats(0, 1)), min_size=1, max_size=6),
    st.floats(0.001, 1),
)
def test_what_is_spared_costs_no_more_time_than_given(
    rows: list[tuple[float, float]], share: float
) -> None:
    costs = Costs(
        tuple((str(at),) for at in range(len(rows))),
        tuple(cost for cost, _ in rows),
        tuple(seconds for _, seconds in rows),
    )
    times = {str(at): seconds for at, (_, seconds) in enumerate(rows)}
    chosen = spared(costs, share)
    assert sum(times[one] for one in chosen) <= share * sum(times.values()) + 1e-9
    assert all(costs.divergences[int(one)] > 0 for one in chosen)


def test_where_int8_saves_no_time_nothing_is_spared() -> None:
    costs = Costs((("a",), ("b", "c")), (0.1, 0.2), (0.0, 0.0))
    assert spared(costs, 0.5) == ()


def test_what_saves_no_time_is_spared_for_free() -> None:
    costs = Costs((("a",), ("b", "c"), ("d",)), (0.1, 0.2, 0.0), (1.0, 0.0, 0.0))
    assert spared(costs, 0.0) == ("b", "c")
