"""What travels between the client and the functions of the experiment; no image is in any of it."""

from __future__ import annotations

from pydantic import Field

from skerry.learn.federated.plan import Plan
from skerry.learn.federated.wire.message import Message
from skerry.learn.federated.wire.messages import Packed
from skerry.learn.federated.wire.parameters import Layout


class Division(Message):
    """Which images each client has: every site works out its own part, so that none of them has to travel.

    Args:
        data: ``auto``, ``digits``, or a folder with the four files of MNIST; see `images.read_images`.
        kind: ``labels`` (clients lack some of the digits) or ``dirichlet``.
        clients: All of them, in order.
        rows: The most images of one client; 0 for all.
        test_rows: How many of the test set are looked at; 0 for all.
        seed: Of the draw.
        alpha: Of the Dirichlet distribution.
    """

    data: str = "auto"
    kind: str = "dirichlet"
    clients: tuple[str, ...]
    rows: int = Field(default=0, ge=0)
    test_rows: int = Field(default=0, ge=0)
    seed: int = 0
    alpha: float = Field(default=0.3, gt=0)


class Part(Message):
    """What a site says of the images that it has.

    Args:
        data: ``mnist`` or ``digits``.
        rows: How many.
        labels: How many of each digit.
    """

    data: str
    rows: int
    labels: tuple[int, ...]


class Settings(Message):
    """How clients train: what a plan carries as its settings, together with the division.

    Args:
        epochs: Local epochs.
        learning_rate: Of gradient descent, in the first round.
        decay_ratio: By which it is multiplied after each round.
        share_ratio: The share of its images that a client draws for a round.
        batch: Images per step.
        sample: Images of the test set on which a client looks at what it has trained; 0 for none.
    """

    epochs: int = Field(ge=1)
    learning_rate: float = Field(default=0.02, gt=0)
    decay_ratio: float = Field(default=1.0, gt=0, le=1)
    share_ratio: float = Field(default=1.0, gt=0, le=1)
    batch: int = Field(default=32, ge=1)
    sample: int = Field(default=0, ge=0)


class Address(Message):
    """How the coordinator reaches a site: names of files at the coordinator's own site, and no secret.

    Args:
        name: The site's name.
        address: Where it is.
        token_file: File with its token.
        certificate: File with its certificate.
    """

    name: str
    address: str
    token_file: str | None = None
    certificate: str | None = None


class Order(Message):
    """What the coordinator is to run.

    Args:
        plan: The run.
        sites: Where the sites are that the plan names.
    """

    plan: Plan
    sites: tuple[Address, ...]


class Model(Message):
    """The global model at the end of a run.

    Args:
        layout: Which arrays it has.
        vector: All of them.
    """

    layout: Layout
    vector: Packed


class Training(Message):
    """One training of a client, outside of any run.

    Args:
        client: Whose images.
        division: Which these are.
        settings: How it trains.
        seed: Of everything random.
    """

    client: str
    division: Division
    settings: Settings
    seed: int = 0


class Trained(Message):
    """What one training took.

    Args:
        train_s: Seconds in the training itself.
        loss: Of its last epoch.
        processors: On which it could run.
        peak_memory_bytes: Of its process.
    """

    train_s: float
    loss: float
    processors: tuple[int, ...]
    peak_memory_bytes: int
