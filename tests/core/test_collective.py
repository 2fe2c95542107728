import torch

from fdabench.core.channel import Channel
from fdabench.core.collective import InProcessCollective
from fdabench.core.ledger import Ledger, LedgerEntry


def test_the_mean_is_weighted_by_the_shares() -> None:
    collective = InProcessCollective(torch.tensor([0.75, 0.25]))
    assert collective.num_workers == 2
    assert collective.mean(torch.tensor([[4.0, 0.0], [0.0, 8.0]])).tolist() == [3.0, 2.0]


def test_a_channel_records_the_message_size_of_one_worker() -> None:
    channel = Channel(InProcessCollective(torch.tensor([0.5, 0.5])), Ledger())
    channel.ledger.step = 7
    assert channel.mean(torch.tensor([[1.0, 2.0, 3.0], [3.0, 4.0, 5.0]]), "state").tolist() == [2.0, 3.0, 4.0]
    assert channel.ledger.entries == [LedgerEntry("state", 7, 7, 1, 3, "float32", 12, "all_reduce", 12, 0)]


def test_the_initial_model_is_counted_and_not_changed() -> None:
    channel = Channel(InProcessCollective(torch.tensor([1.0])), Ledger())
    w_D = torch.tensor([1.0, -1.0])
    assert channel.broadcast_initial(w_D).tolist() == [1.0, -1.0]
    assert channel.ledger.entries == [LedgerEntry("initial", 0, 0, 1, 2, "float32", 8, "all_reduce", 8, 0)]


def test_measurements_with_the_inner_collective_are_not_counted() -> None:
    channel = Channel(InProcessCollective(torch.tensor([1.0])), Ledger())
    assert channel.collective.mean(torch.ones(1, 4)).tolist() == [1.0] * 4
    assert channel.ledger.entries == []
