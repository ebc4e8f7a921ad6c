"""The experiment of paper 001: is training near the data better than sending everything to a far cloud?"""

from __future__ import annotations

from functools import partial

from skerry.testbed.experiments.experiment import Arm, Experiment, OnClusters, Option
from skerry.testbed.experiments.measures import PHASES
from skerry.testbed.experiments.training_6g import arms
from skerry.testbed.experiments.training_6g.conclusions import conclude

REFERENCE_REPEATS = 5

experiment = Experiment(
    name="6g-training",
    extras=("learn",),
    title="Training near the data or in a far cloud: the experiment of paper 001",
    question=(
        "A base station has news articles, true and false. Is it better to send half of them to each of two functions "
        "at near edge sites, or all of them to one function in a far cloud? Paper 001 found a median response time "
        "about 25 % lower at the edge, at the same median accuracy. It changes two things at once: the network, and "
        "the data that each function gets. Here they are told apart. "
        "The articles are not the paper's 3,150, of which 315 are public; which they are is said below."
    ),
    arms=(
        Arm(
            name="edge-split",
            title="40 % of the articles to each of two edge sites, the better result wins: the paper's way",
            run=partial(arms.run_split, sites=arms.EDGES),
        ),
        Arm(
            name="edge-exact",
            title="80 % to both edge sites, each does half of the folds: the answer of one machine",
            run=partial(arms.run_exact, sites=arms.EDGES),
        ),
        Arm(
            name="cloud",
            title="80 % to one function in the cloud, on one core",
            run=partial(arms.run_whole, site=arms.CLOUD, workers=1),
        ),
        Arm(
            name="cloud-2-cores",
            title="80 % to one function in the cloud, on two cores",
            run=partial(arms.run_whole, site=arms.CLOUD, workers=2),
        ),
        Arm(
            name="cloud-split",
            title="40 % to each of two functions in the cloud: the paper's way, on the cloud's network",
            run=partial(arms.run_split, sites=(arms.CLOUD, arms.CLOUD)),
        ),
        Arm(
            name="edge-split-reference",
            title="edge-split with scikit-learn's GridSearchCV",
            run=partial(arms.run_split, sites=arms.EDGES, reference=True),
            most_repeats=REFERENCE_REPEATS,
        ),
        Arm(
            name="cloud-reference",
            title="cloud with scikit-learn's GridSearchCV, on one core",
            run=partial(arms.run_whole, site=arms.CLOUD, workers=1, reference=True),
            most_repeats=REFERENCE_REPEATS,
        ),
        Arm(
            name="cloud-2-cores-reference",
            title="cloud with scikit-learn's GridSearchCV, on two cores",
            run=partial(arms.run_whole, site=arms.CLOUD, workers=2, reference=True),
            most_repeats=REFERENCE_REPEATS,
        ),
    ),
    measures=(
        "response_time_s",
        "test_accuracy",
        "bytes_sent",
        "bytes_received",
        *PHASES,
        "final_fit_s",
        "total_time_s",
        "validation_accuracy",
        "wire_bytes",
        "calls",
    ),
    sites=(*arms.EDGES, arms.CLOUD),
    app="skerry.testbed.experiments.training_6g.app:app",
    topology="6g-edge",
    options={
        "articles": Option(
            default="real",
            title="which articles: the paper's own 315 (seed), the ISOT sample (isot), both (real), made up (made)",
            choices=("real", "seed", "isot", "made"),
        ),
        "count": Option(default="0", title="the most articles to take, 0 for all"),
    },
    quick={"articles": "made", "count": "100"},
    pairs=(
        ("edge-split", "cloud"),
        ("edge-split", "cloud-2-cores"),
        ("edge-exact", "cloud"),
        ("edge-exact", "edge-split"),
        ("cloud-split", "cloud"),
        ("edge-split", "edge-split-reference"),
        ("cloud", "cloud-reference"),
        ("cloud-2-cores", "cloud-2-cores-reference"),
    ),
    clusters=OnClusters(
        function="train",
        requirements=("scikit-learn",),
        flags=(
            'evaluate.timeout="10m"',
            "evaluate.scale.min=0",
            "evaluate.scale.initial=0",
            'train.timeout="10m"',
            "train.scale.min=1",
            "train.scale.initial=1",
            'train_share.timeout="10m"',
            'train_reference.timeout="10m"',
            "train_reference.scale.min=0",
            "train_reference.scale.initial=0",
        ),
        without=dict.fromkeys(
            ("cloud-2-cores", "cloud-2-cores-reference"), "a pod has one worker, and no others to share a search with"
        ),
    ),
    prepare=arms.prepare,
    conclude=conclude,
)
