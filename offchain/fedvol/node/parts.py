"""What a node is made of, each part opened once and checked as it is opened: for the daemon, which stops at the first
that is wrong, and for `fedvol node check`, which goes on to the next.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from eth_account.signers.local import LocalAccount

from fedvol.chain.client import connect
from fedvol.chain.deployment import Deployment
from fedvol.chain.federation import FederationClient, Snapshot
from fedvol.chain.interface import require_interface
from fedvol.chain.proofs import Terms
from fedvol.errors import ConfigError, FedvolError
from fedvol.node.attest import what_is_asked
from fedvol.node.config import NodeConfig
from fedvol.node.journal import Owner
from fedvol.node.keystore import address_of, load
from fedvol.node.workshop import Workshop
from fedvol.storage import Storage, open_storage

_T = TypeVar("_T")


def _once(make: Callable[[Any], _T]) -> _T:
    """A property that is made at its first use. A failure stands like a result: it is raised again, not tried again."""

    def get(self: Parts) -> _T:
        if make.__name__ not in self._made:
            try:
                self._made[make.__name__] = make(self)
            except FedvolError as error:
                self._made[make.__name__] = error
        found = self._made[make.__name__]
        if isinstance(found, FedvolError):
            raise found
        return found

    return property(get, doc=make.__doc__)  # type: ignore[return-value]


class Parts:
    """The parts of the node that a configuration describes. Each property may raise a FedvolError that names what is
    missing or wrong; nothing is sent, and nothing is written but what storage needs to be looked at.
    """

    def __init__(self, config: NodeConfig) -> None:
        self.config = config
        self._made: dict[str, Any] = {}

    @_once
    def account(self) -> LocalAccount:
        return load(self.config.keystore, self.config.password())

    @_once
    def address(self) -> str:
        """The account's, without its password."""
        return address_of(self.config.keystore)

    @_once
    def deployment(self) -> Deployment:
        found = Deployment.load(self.config.deployments, self.config.federation)
        if self.config.chain_id not in (None, found.chain_id):
            raise ConfigError(
                f"{self.config.deployments} is for chain {found.chain_id}, and chain_id says {self.config.chain_id}.",
                "Name the deployment file of the right chain.",
            )
        return found

    @_once
    def endpoint(self) -> FederationClient:
        """Of the right chain; what contracts there are is not known yet."""
        return FederationClient(connect(self.config.rpc, self.deployment.chain_id), self.deployment)

    @_once
    def client(self) -> FederationClient:
        """Whose contracts are all there, and speak as this package does."""
        self.endpoint.check()
        require_interface(self.endpoint)
        return self.endpoint

    @_once
    def snapshot(self) -> Snapshot:
        """Of the federation and the node, as the node starts."""
        return self.client.snapshot(self.address)

    @_once
    def owner(self) -> Owner:
        """Of the journal."""
        return Owner(self.deployment.chain_id, self.endpoint.federation.address, self.address)

    @_once
    def storage(self) -> Storage:
        found = open_storage(self.config.storage)
        found.check()
        return found

    @_once
    def trainer(self) -> Workshop:
        """With rows to train on."""
        found = trainer_of(self.config, self.deployment)
        found.count()
        return found

    @_once
    def terms(self) -> Terms | None:
        """What must be proven."""
        return what_is_asked(self.client, self.config.privacy is not None)


def trainer_of(config: NodeConfig, deployment: Deployment) -> Workshop:
    """What trains the federation's model on the node's tape.

    Raises:
        ConfigError: this fedvol cannot train such a model.
    """
    return Workshop(
        deployment.spec,
        config.tape,
        config.settings(),
        desk_column=config.desk_column,
        desk=config.desk,
        hours=config.window_hours,
        holdout=config.holdout,
    )
