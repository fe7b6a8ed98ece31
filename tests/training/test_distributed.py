"""Joining the processes of a distributed run."""

from datetime import timedelta

import pytest
import torch

from hrpose_rt.errors import BadInput
from hrpose_rt.training.distributed import init_distributed


def test_processes_on_gpus_join_by_nccl_each_on_its_own(monkeypatch) -> None:
    joined, current, left = [], [], []
    for name, value in (("RANK", "5"), ("WORLD_SIZE", "8"), ("LOCAL_RANK", "1")):
        monkeypatch.setenv(name, value)
    monkeypatch.setattr("torch.cuda.is_available", lambda: True)
    monkeypatch.setattr("torch.cuda.set_device", current.append)
    monkeypatch.setattr(
        "torch.distributed.init_process_group", lambda *how, **more: joined.append((how, more))
    )
    monkeypatch.setattr("torch.distributed.destroy_process_group", lambda: left.append(1))
    gpu = torch.device("cuda", 1)
    with init_distributed("auto") as context:
        assert (context.rank, context.size, context.device, context.main) == (5, 8, gpu, False)
    assert current == [gpu] and left == [1]
    ((backend,), how) = joined[0]
    assert backend == "nccl" and how["device_id"] == gpu
    assert how["timeout"] >= timedelta(hours=1)  # process 0 validates meanwhile


@pytest.mark.parametrize(
    ("device", "words"), [("cuda", "finds no CUDA GPU here"), ("gpu", "no `device` 'gpu': choose auto")]
)
def test_missing_or_unknown_device_raises_bad_input(device: str, words: str, monkeypatch) -> None:
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    with pytest.raises(BadInput, match=words), init_distributed(device):
        pass
