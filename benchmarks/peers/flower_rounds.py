"""The scene as a Flower app. Ray's actor imports this module: what it needs is looked up there, not sent."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from typing import Any
from uuid import uuid4

import numpy as np
from flwr.app import Array, ArrayRecord, ConfigRecord, Context, Message, MetricRecord, RecordDict
from flwr.clientapp import ClientApp
from flwr.serverapp import Grid, ServerApp
from flwr.serverapp.strategy import FedAvg
from flwr.simulation import run_simulation

from benchmarks.peers.scene import DESKS, Clock, scene
from fedvol.learning.model import Floats

logging.getLogger("flwr").setLevel(logging.ERROR)

client = ClientApp()


@client.train()
def train(message: Message, context: Context) -> Message:
    name = str(message.content["config"]["scene"])
    weights = scene(name).train(int(context.node_config["partition-id"]), message.content["arrays"]["weights"].numpy())
    metrics = MetricRecord({"num-examples": 1})
    return Message(RecordDict({"arrays": _record(weights), "metrics": metrics}), reply_to=message)


def on_ray(name: str, rounds: int, clock: Clock) -> Floats:
    """As Flower's users simulate, on one actor."""
    server, found = ServerApp(), []

    @server.main()
    def main(grid: Grid, context: Context) -> None:
        found.append(_lead(grid, name, rounds, clock))

    one_actor = {
        "init_args": {"num_cpus": 1, "log_to_driver": False, "logging_level": "error"},
        "client_resources": {"num_cpus": 1},
    }
    run_simulation(server, client, DESKS, backend_config=one_actor)
    return found[0]


def in_process(name: str, rounds: int, clock: Clock) -> Floats:
    """Flower's strategy, messages and client app alone, called one after the other: less than Flower itself offers."""
    return _lead(InTurn(), name, rounds, clock)


def _lead(grid: Grid, name: str, rounds: int, clock: Clock) -> Floats:
    def mark(_round: int, _arrays: ArrayRecord) -> None:
        clock.mark()

    strategy = FedAvg(fraction_evaluate=0.0, min_train_nodes=DESKS, min_available_nodes=DESKS)
    here = scene(name)
    start = _record(here.model.spec.to_float(here.start))
    config = ConfigRecord({"scene": name})
    return strategy.start(grid, start, rounds, train_config=config, evaluate_fn=mark).arrays["weights"].numpy()


def _record(weights: np.ndarray) -> ArrayRecord:
    return ArrayRecord({"weights": Array(weights)})


class InTurn(Grid):
    def __init__(self) -> None:
        self.contexts = {
            node: Context(1, node, {"partition-id": node - 1}, RecordDict(), {}) for node in range(1, DESKS + 1)
        }

    def get_node_ids(self) -> Iterable[int]:
        return list(self.contexts)

    def send_and_receive(self, messages: Iterable[Message], *, timeout: float | None = None) -> Iterable[Message]:
        return [self._answered(message) for message in messages]

    def _answered(self, message: Message) -> Message:
        message.metadata.__dict__["_message_id"] = str(uuid4())
        return client(message, self.contexts[message.metadata.dst_node_id])

    def _unused(self, *_: Any, **__: Any) -> Any:
        raise NotImplementedError

    set_run = run = create_message = push_messages = pull_messages = _unused
