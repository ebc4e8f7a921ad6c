"""Deploying an app on a cluster: described, built, rendered, checked, applied, waited for, pruned."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from skerry.app.clusters import ClusterPlace, ClusterPlatformName, with_project
from skerry.app.describing import DescribedApp, describe_app
from skerry.app.ownership import find_present, has_changed
from skerry.app.target import Target
from skerry.errors import ConfigError, PrivacyError, SkerryError
from skerry.spec import (
    SET_VARIABLE,
    STATE_PASSWORD_VARIABLE,
    STATE_VARIABLE,
    ClusterSettings,
    FunctionSpec,
    ModelReference,
    PlatformTable,
    is_shared,
    resolve,
)

if TYPE_CHECKING:
    from skerry.platforms.kubernetes.api.cluster import Cluster
    from skerry.platforms.kubernetes.operating import OperatedPlatform
    from skerry.platforms.kubernetes.rendering import AppToRender, KubernetesObject

# Stands for a registry where objects are only to be looked at, and none is named.
UNNAMED = "registry.example"


def _silent(line: str) -> None:
    """Report nothing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DeployPlan:
    """What a person asked for.

    Args:
        target: The app.
        place: Where to.
        image: An image that is there already, ``HOST/NAME@sha256:...``; none builds one and pushes it.
        registry: Where a built image is pushed, ``HOST[:PORT][/PATH]``; none means what ``skerry.toml`` says.
        insecure: Whether the registry may be spoken to in plain HTTP.
        flags: ``FUNCTION.OPTION=VALUE`` settings.
        environment: Text of ``SKERRY_SET``.
        weight_ratio: Share of the requests that new revisions get beside those that serve; none means all.
        force: Whether to take over fields of the app's objects that others have set.
        deadline_s: Longest wait for the functions to be ready, seconds.
        tell: Called with each line that says how it is getting on.
    """

    target: Target
    place: ClusterPlace
    image: str | None = None
    registry: str | None = None
    insecure: bool = False
    flags: Sequence[str] = ()
    environment: str = ""
    weight_ratio: float | None = None
    force: bool = False
    deadline_s: float = 600.0
    tell: Callable[[str], None] = _silent


@dataclass(frozen=True, slots=True, kw_only=True)
class RenderedApp:
    """An app as it is to be on a cluster.

    Args:
        app: Its name.
        functions: The names of its functions.
        image: The image of its containers.
        objects: What is to be applied, in order.
    """

    app: str
    functions: tuple[str, ...]
    image: str
    objects: tuple[KubernetesObject, ...]


def render_app(plan: DeployPlan, *, build: bool) -> RenderedApp:
    """Return what is to be on the cluster, checked against the published schemas; the cluster is not asked.

    Args:
        plan: What is wanted.
        build: Whether to build and push an image where the plan names none.

    Raises:
        AppImportError: the app cannot be imported.
        SpecError: an option cannot be honoured on the platform.
        ConfigError: no image is named, and no registry to push one to.
    """
    from skerry.platforms.kubernetes.rendering import AppToRender, FunctionToRender
    from skerry.platforms.kubernetes.validation import check

    described = describe_app(plan.target)
    settings = _settings(described, plan)
    specs = resolve(
        {name: entry["options"] for name, entry in described.functions.items()},
        file=described.project,
        environment={SET_VARIABLE: plan.environment},
        flags=plan.flags,
        platform=plan.place.platform,
    )
    _refuse_local(specs)
    _refuse_files_as_state(described, specs, plan.place.platform)
    _refuse_sources(described, plan.place.platform)
    pinned = {name: _pin(spec, settings) for name, spec in specs.items()}
    image, inside = _image(plan, described, settings, build=build)
    app = AppToRender(
        name=described.name,
        image=image,
        target=inside,
        source=described.source,
        functions=tuple(
            FunctionToRender(
                spec=spec,
                declared=described.functions[name]["options"],
                takes_items=described.functions[name]["takes_items"],
            )
            for name, spec in pinned.items()
        ),
    )
    objects = _renderer(plan.place.platform)(app, settings)
    check(objects)
    return RenderedApp(app=app.name, functions=tuple(specs), image=image, objects=objects)


def deploy_app(plan: DeployPlan, platform: OperatedPlatform) -> dict[str, Any]:
    """Build and deploy an app, wait until it is ready, and remove what it no longer has.

    Everything is checked by the API server before anything is changed.

    Args:
        plan: What is wanted.
        platform: Where to, opened.

    Returns:
        ``app``, ``image``, ``changed``, ``functions`` (as `OperatedPlatform.functions` returns them) and ``removed``.

    Raises:
        ConfigError: what is asked for does not go with the platform.
        NameTakenError: an object of a name that the app needs is somebody else's.
        PlatformError: the cluster refuses it, or it does not become ready; the message says why.
    """
    from skerry.platforms.knative.rendering import needed_features
    from skerry.platforms.kubernetes.waiting.waiting import wait_ready

    if plan.weight_ratio is not None and plan.place.platform != "knative":
        raise ConfigError("plain Kubernetes splits no traffic: leave --weight out, or deploy with --platform knative")
    # In the namespace that is looked at, whoever named it.
    here = replace(plan, place=replace(plan.place, namespace=platform.cluster.namespace))
    rendered = render_app(here, build=True)
    cluster = platform.cluster
    objects = _for_cluster(rendered.objects, cluster)
    present = find_present(cluster, rendered.app, objects)
    features = needed_features(objects)
    if features:
        plan.tell(f"needs {', '.join(features)} enabled in config-features of Knative, which is off by default")
    plan.tell("checking with the API server")
    cluster.apply(objects, dry_run=True, force=plan.force)
    shift = platform.prepare(rendered.functions, weight_ratio=plan.weight_ratio)
    plan.tell("applying")
    applied = cluster.apply(objects, force=plan.force)
    try:
        wait_ready(cluster, applied, plan.tell, deadline_s=plan.deadline_s)
    except SkerryError as error:
        error.details.setdefault("hint", _after_failure(rendered, plan, cluster.namespace))
        raise
    shift()
    removed = cluster.prune(rendered.app, objects)
    serving = [function for function in platform.functions() if function["app"] == rendered.app]
    return {
        "app": rendered.app,
        "image": rendered.image,
        "changed": bool(removed) or has_changed(present, applied),
        "functions": serving,
        "removed": [str(reference) for reference in removed],
    }


def _for_cluster(objects: Sequence[KubernetesObject], cluster: Cluster) -> list[KubernetesObject]:
    """Return what is to be applied: in the versions that the cluster has, and without targets, which are set apart."""
    from skerry.platforms.kubernetes.rendering import adapt

    return [_without_traffic(made) for made in adapt(objects, cluster.kinds.has)]


def _after_failure(rendered: RenderedApp, plan: DeployPlan, namespace: str) -> str:
    """Return what is left after a deployment that did not get ready, and what to do with it."""
    where = f"--platform {plan.place.platform} --namespace {namespace}"
    return (
        "what served before still serves, and nothing was removed; mend the cause and deploy again, or remove the app: "
        f"skerry delete {rendered.app} {where}"
    )


def _settings(described: DescribedApp, plan: DeployPlan) -> ClusterSettings:
    table: PlatformTable = described.project.get("platform", {}).get(plan.place.platform, PlatformTable())
    # The table's place is that of people who name none; a site is a place.
    place = plan.place if plan.place.site is not None else with_project(plan.place, described.project)
    return replace(
        table.settings,
        namespace=place.namespace,
        registry=plan.registry or table.settings.registry,
    )


def _refuse_local(specs: Mapping[str, FunctionSpec]) -> None:
    labelled = [name for name, spec in specs.items() if spec.local]
    if labelled:
        raise PrivacyError(
            f"function {', '.join(labelled)} is labelled local: it stays at its site, and a cluster is another one",
            hint="keep the other functions in an app of their own",
        )


def _refuse_files_as_state(described: DescribedApp, specs: Mapping[str, FunctionSpec], platform: str) -> None:
    """Refuse an app with states that each of its containers would keep for itself, and lose."""
    alone = [name for name, spec in specs.items() if not is_shared(spec.env.get(STATE_VARIABLE, ""))]
    if described.states and alone:
        raise ConfigError(
            f"app {described.name!r} has the state {', '.join(described.states)}, and function {', '.join(alone)} "
            f"would keep it in a file of its container: on {platform} a state needs a server",
            hint='url = "redis://HOST:PORT/DATABASE" under [state] in skerry.toml; its password goes into the key '
            f"{STATE_PASSWORD_VARIABLE} of a Secret that the functions name with secrets=",
        )


def _refuse_sources(described: DescribedApp, platform: str) -> None:
    """Refuse an app whose events come from sources: they are the engine's, and would never come."""
    if described.event_sources:
        raise ConfigError(
            f"app {described.name!r} has the source {', '.join(described.event_sources)}: {platform} does not honour "
            "sources of an app",
            hint="leave app.source(...) out there, and let a source of the cluster send to its broker; or deploy the "
            "app to an engine",
        )


def _pin(spec: FunctionSpec, settings: ClusterSettings) -> FunctionSpec:
    """Return the options with the version of the model that the revision serves from its first request to its last."""
    if spec.model is None:
        return spec
    reference = ModelReference.parse(spec.model)
    if settings.models is None:
        raise ConfigError(
            f"function {spec.name!r} serves model {reference}, and containers have no store of models",
            hint='name one that the cluster reaches: models = "s3://BUCKET/PATH" under [platform.knative]',
        )
    if reference.version is not None:
        return spec
    from skerry.runtime.model_source import ModelSource
    from skerry.store.models import cache_folder

    version = ModelSource(settings.models, cache_folder()).resolve(reference).version
    return replace(spec, model=f"{reference.name}@{version}")


def _image(plan: DeployPlan, described: DescribedApp, settings: ClusterSettings, *, build: bool) -> tuple[str, str]:
    """Return the image, and where the app is in it."""
    if plan.target.file is None:
        raise ConfigError(f"target {plan.target} is no file", hint="name the file that holds the app, like app.py")
    inside = plan.target.inside
    if plan.image is not None:
        return plan.image, inside
    if not build:
        return f"{settings.registry or UNNAMED}/{described.name}", inside
    if settings.registry is None:
        raise ConfigError(
            "a cluster gets images from a registry, and none is named",
            hint='--registry HOST[:PORT][/PATH], or registry = "HOST/PATH" under [platform.'
            f"{plan.place.platform}] in skerry.toml; or --image REFERENCE for one that is there already",
        )
    from skerry.app.imaging import BuildSettings, build_image

    push = f"{settings.registry}/{described.name}"
    insecure = plan.insecure or settings.insecure_registry
    plan.tell(f"building the image of {described.name}")
    built = build_image(plan.target, BuildSettings(base=settings.base, push=push, insecure=insecure, tell=plan.tell))
    return built.reference, built.target


def _renderer(
    platform: ClusterPlatformName,
) -> Callable[[AppToRender, ClusterSettings], tuple[KubernetesObject, ...]]:
    from skerry.platforms.knative.rendering import render as render_knative
    from skerry.platforms.kubernetes.rendering import render as render_kubernetes

    return render_knative if platform == "knative" else render_kubernetes


def _without_traffic(made: KubernetesObject) -> KubernetesObject:
    """Return an object without the targets of a Knative Service: those are set apart from the rest of it."""
    spec = made.get("spec")
    if not isinstance(spec, Mapping) or "traffic" not in spec:
        return made
    return {**made, "spec": {key: value for key, value in spec.items() if key != "traffic"}}


def write_manifests(rendered: RenderedApp, folder: Path) -> list[Path]:
    """Write an app's objects as files for GitOps and return them.

    Raises:
        ConfigError: the folder cannot be written.
    """
    from skerry.platforms.kubernetes.manifests import write_folder

    return write_folder(rendered.objects, folder)
