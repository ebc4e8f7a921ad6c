"""What is rendered of every example, kept for a human reader: a change of it is to be seen in review.

``SKERRY_WRITE_GOLDEN=1 pytest tests/unit/platforms/test_golden.py`` writes the files anew.
"""

import os
from pathlib import Path

import pytest
import yaml

from skerry.errors import SpecError
from skerry.platforms.knative.rendering import render as render_knative
from skerry.platforms.kubernetes.manifests import to_yaml
from skerry.platforms.kubernetes.rendering import render as render_kubernetes
from skerry.platforms.kubernetes.validation import problems
from skerry.spec import KNATIVE, KUBERNETES, ClusterSettings
from support.rendering import app_of

EXAMPLES = Path(__file__).parents[3] / "examples"
GOLDEN = Path(__file__).parent / "golden"
APPS = sorted(path for path in EXAMPLES.rglob("*.py") if "skerry.App(" in path.read_text(encoding="utf-8"))
# The clients of a federated run have times of hours; a cluster that runs them is told so.
SETTINGS = ClusterSettings(namespace="edge", max_timeout="6h", models="s3://models", registry_secret="registry")
# The demo looks at the load of one second; Knative at that of six or more.
FLAGS = {"serving_app": ["classify.scale.window=6s"]}
# What a platform refuses by name, and so renders nothing of.
REFUSED = {
    ("chain", KNATIVE): "chain",
    ("chain", KUBERNETES): "chain",
    ("file_drop", KUBERNETES): "triggers",
    ("fraud", KNATIVE): "chain",
    ("fraud", KUBERNETES): "chain",
    ("prognostics", KUBERNETES): "triggers",
}
RENDERERS = {KNATIVE: render_knative, KUBERNETES: render_kubernetes}


@pytest.mark.parametrize("platform", [KNATIVE, KUBERNETES])
@pytest.mark.parametrize("file", APPS, ids=lambda file: file.stem)
def test_the_objects_of_an_example_are_valid_and_those_that_were_reviewed(file, platform):
    option = REFUSED.get((file.stem, platform))
    if option is not None:
        with pytest.raises(SpecError, match=f"{platform} does not honour {option}"):
            RENDERERS[platform](app_of(file, platform=platform), SETTINGS)
        return
    objects = RENDERERS[platform](app_of(file, platform=platform, flags=FLAGS.get(file.stem, ())), SETTINGS)
    assert list(problems(objects)) == []
    text = to_yaml(objects)
    assert list(yaml.load_all(text, yaml.CSafeLoader)) == list(objects)
    golden = GOLDEN / platform / f"{file.stem}.yaml"
    if os.environ.get("SKERRY_WRITE_GOLDEN"):
        golden.parent.mkdir(exist_ok=True)
        golden.write_text(text, encoding="utf-8")
    assert text == golden.read_text(encoding="utf-8")


def test_no_golden_file_is_left_of_an_example_that_is_gone():
    kept = {path.relative_to(GOLDEN) for path in GOLDEN.rglob("*.yaml")}
    rendered = [
        (platform, file.stem) for platform in RENDERERS for file in APPS if (file.stem, platform) not in REFUSED
    ]
    assert kept == {Path(platform) / f"{name}.yaml" for platform, name in rendered}
