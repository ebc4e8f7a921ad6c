"""The tasks of a round, made for each client."""

from __future__ import annotations

from dataclasses import dataclass

from skerry.learn.federated.coordinator.downlink import Outgoing
from skerry.learn.federated.plan import Plan, seed_of
from skerry.learn.federated.strategies.base import Instructions
from skerry.learn.federated.wire.coding.packing import pack
from skerry.learn.federated.wire.messages import EvaluateTask, FitTask, Packed
from skerry.learn.federated.wire.parameters import Layout, Vector
from skerry.learn.federated.wire.tokens import Claims, issue_token


@dataclass(frozen=True, slots=True, kw_only=True)
class Tasks:
    """What the tasks of one round have in common.

    Args:
        plan: The run's.
        round: Its number.
        layout: The model's.
        outgoing: The model.
    """

    plan: Plan
    round: int
    layout: Layout
    outgoing: Outgoing

    def claims(self, client: str) -> Claims:
        """Return what a client's token is good for."""
        return Claims(job=self.plan.job, round=self.round, client=client, model_digest=self.outgoing.digest)

    def fit(
        self,
        client: str,
        *,
        holds: str | None,
        instructions: Instructions,
        control: Packed | None,
        secret: bytes,
        expires_s: float,
    ) -> FitTask:
        """Return a client's training task.

        Args:
            client: Whose.
            holds: Digest of the model that it holds, if that is known.
            instructions: The strategy's.
            control: The control variate in them, packed.
            secret: The run's, for the token.
            expires_s: When the token is good for nothing any more, Unix time, seconds.
        """
        model, base_digest = self.outgoing.parts_for(holds)
        return FitTask(
            job=self.plan.job,
            round=self.round,
            client=client,
            token=issue_token(secret, self.claims(client), expires_s=expires_s),
            layout=self.layout,
            model_digest=self.outgoing.digest,
            base_digest=base_digest,
            model=model,
            coding=self.plan.coding,
            seed=seed_of(self.plan.seed, self.round, client),
            settings=self.plan.settings,
            proximal=instructions.proximal,
            control=control,
            privacy=self.plan.client_privacy,
            secure=self.plan.secure_terms(self.layout.size),
        )

    def evaluate(self, client: str, *, holds: str | None) -> EvaluateTask:
        """Return a client's evaluation task; arguments as for `fit`."""
        model, base_digest = self.outgoing.parts_for(holds)
        return EvaluateTask(
            job=self.plan.job,
            round=self.round,
            client=client,
            layout=self.layout,
            model_digest=self.outgoing.digest,
            base_digest=base_digest,
            model=model,
            settings=self.plan.settings,
        )


def pack_control(control: Vector | None, layout: Layout) -> Packed | None:
    """Return the server's control variate as it travels, in the model's dtype."""
    if control is None:
        return None
    packed, _ = pack(control.astype(layout.dtype), layout.dtype_name)
    return packed
