"""Settings -> networks."""

import pytest

from hrpose_rt.errors import BadInput
from hrpose_rt.machine import cpu_features, cpu_name, usable_cores
from hrpose_rt.networks import Settings, open_networks


def test_the_facts_say_what_runs() -> None:
    facts = open_networks(Settings(precision="fp32", threads=1)).facts
    assert facts["models"] == {"pose": "hrnet-w16-lite", "detector": "yolo26n-person"}
    assert (facts["runtime"], facts["precision"], facts["threads"]) == ("openvino", "fp32", 1)
    assert (facts["cpu"], facts["cpu_features"]) == (cpu_name(), cpu_features())


@pytest.mark.parametrize("threads", [-1, usable_cores() + 1])
def test_threads_that_are_not_there_are_refused(threads: int) -> None:
    with pytest.raises(BadInput, match=f"{threads} threads are asked for: this machine has 1 to"):
        open_networks(Settings(threads=threads))


def test_a_detector_is_no_pose_network() -> None:
    with pytest.raises(BadInput, match="a pose network, one for detection is needed here"):
        open_networks(Settings(detector="hrnet-w16-lite"))
