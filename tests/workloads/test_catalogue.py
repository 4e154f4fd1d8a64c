"""Every workload by its name, users' own by module and class."""

from __future__ import annotations

import pytest

from quorate.chaos.workloads.catalogue import WORKLOADS, workload_of
from quorate.chaos.workloads.workload import Workload
from quorate.core.errors import UsageError


@pytest.mark.parametrize("name", WORKLOADS)
def test_the_catalogue_names_classes_that_exist(name: str) -> None:
    workload = workload_of(name)
    assert workload.name == name
    assert workload.promise


class OwnWorkload(Workload):
    """One that a user wrote."""

    name = "own"


def test_a_users_own_is_found_by_module_and_class() -> None:
    assert isinstance(workload_of(f"{__name__}:OwnWorkload"), OwnWorkload)


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("registers", "choose one of register"),
        ("no.such.module:Class", "cannot be loaded"),
        (f"{__name__}:Missing", "cannot be loaded"),
        (f"{__name__}:pytest", "not a subclass"),
    ],
)
def test_what_is_no_workload_is_said_so(name: str, says: str) -> None:
    with pytest.raises(UsageError, match=says):
        workload_of(name)
