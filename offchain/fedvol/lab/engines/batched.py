"""Many participants' steps at once, as array operations: the fastest on one core."""

from __future__ import annotations

from fedvol.errors import ConfigError
from fedvol.lab.engine import Engine, Job, Parts
from fedvol.learning import many
from fedvol.learning.contribution import Contribution, quantized
from fedvol.learning.ssvi_mixture import SsviMixture


class Batched(Engine):
    """Floats differ from those of the other engines in their last bits, so a lane may be rounded to the other side: by
    one unit, about one lane in ten million."""

    def train(self, job: Job, parts: Parts) -> list[Contribution]:
        """See `Engine`.

        Raises:
            ConfigError: private training, the agreed one, or a model that is no surface.
        """
        if job.limits is not None or job.settings.privacy is not None or not isinstance(job.model, SsviMixture):
            raise ConfigError(
                "Only the training of a surface in floats and without noise can be batched.",
                "Use the engine processes.",
            )
        spec, rule = job.model.spec, job.rule
        desks, secrets = [rows for rows, _ in parts], [secret for _, secret in parts]
        found = many.train(job.model, spec.to_float(job.weights), job.opening, desks, secrets, job.settings)
        return [
            quantized(spec, job.weights, trained, sure if rule.weighted else None, secret, rule, job.norm)
            for trained, sure, secret in zip(*found, secrets, strict=True)
        ]
