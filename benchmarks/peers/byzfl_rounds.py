"""The scene in ByzFL's clients and server, in the loop of its `benchmark/train.py` for FedAvg."""

from __future__ import annotations

import torch

from benchmarks.peers.rules import import_without_init
from benchmarks.peers.scene import DESKS, Clock, scene
from fedvol.learning.model import Floats

import_without_init("byzfl")
from byzfl.fed_framework import Client, Server, models  # noqa: E402


class Surface(torch.nn.Module):
    """ByzFL builds its models itself, by name; ours is a vector in one."""

    size = 0

    def __init__(self) -> None:
        super().__init__()
        self.weights = torch.nn.Parameter(torch.zeros(self.size, dtype=torch.float64))


class Desk(Client):
    """A client of theirs whose local training is ours; that of theirs is torch's optimizers on batches of pictures."""

    def __init__(self, desk: int, name: str) -> None:
        super().__init__(
            _common()
            | {
                "loss_name": "MSELoss",
                "LabelFlipping": False,
                "nb_labels": 2,
                "momentum": 0.0,
                "training_dataloader": torch.utils.data.DataLoader([0]),
                "store_per_client_metrics": False,
            }
        )
        self.desk, self.scene = desk, scene(name)

    def compute_model_update(self, num_rounds: int) -> float:
        trained = self.scene.train(self.desk, self.get_flat_parameters().numpy())
        self.set_parameters(torch.from_numpy(trained))
        return 0.0


def in_process(name: str, rounds: int, clock: Clock) -> Floats:
    torch.set_num_threads(1)
    here = scene(name)
    Surface.size, models.Surface = here.model.spec.dimension, Surface
    clients = [Desk(desk, name) for desk in range(DESKS)]
    server = Server(
        _common()
        | {
            "test_loader": torch.utils.data.DataLoader([0]),
            "aggregator_info": {"name": "Average", "parameters": {}},
            "pre_agg_list": [],
        }
    )
    server.set_parameters(torch.from_numpy(here.model.spec.to_float(here.start)))
    _hand_out(server, clients)
    clock.mark()
    for _ in range(rounds):
        weights = []
        for client in clients:
            client.compute_model_update(1)
            weights.append(client.get_flat_parameters())
        server.update_model_with_weights(weights)
        _hand_out(server, clients)
        clock.mark()
    return server.get_flat_parameters().numpy()


def _hand_out(server: Server, clients: list[Desk]) -> None:
    model = server.get_dict_parameters()
    for client in clients:
        client.set_model_state(model)


def _common() -> dict[str, object]:
    return {
        "model_name": "Surface",
        "device": "cpu",
        "optimizer_name": "SGD",
        "learning_rate": 0.1,
        "weight_decay": 0.0,
        "milestones": [],
        "learning_rate_decay": 1.0,
    }
