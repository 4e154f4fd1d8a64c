"""Who acts, and how, on a side without a majority."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from quorate.hosts.agents.apart import policy as policies

HOSTS = st.sets(st.sampled_from("abcdefg"), min_size=1)


def test_the_table_of_policies() -> None:
    table = {p: (policies.goes_on(p), policies.may_write(p)) for p in policies.POLICIES}
    assert table == {
        "pause_minority": (False, False),
        "degraded": (True, False),
        "split_brain": (True, True),
    }


def test_an_agent_may_have_a_policy_of_its_own() -> None:
    assert policies.policy_of("", "degraded") == "degraded"
    assert policies.policy_of("split_brain", "degraded") == "split_brain"


@given(st.text(min_size=1), st.sampled_from("abcdefg"), HOSTS)
def test_all_hosts_of_a_part_agree_on_one(name: str, bound_to: str, part: set[str]) -> None:
    chosen = policies.stand_in(name, bound_to, part)
    assert chosen in part
    assert chosen == policies.stand_in(name, bound_to, sorted(part, reverse=True))
    if bound_to in part:
        assert chosen == bound_to


def test_nobody_stands_in_where_nobody_can() -> None:
    assert policies.stand_in("cart", "a", []) is None
