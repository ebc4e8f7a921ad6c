"""Deploying an app: copy its source, make its environment, try it out, and once it is ready, record it and switch."""

from __future__ import annotations

import asyncio
import logging
import os
import tempfile
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from skerry.engine.chains.checking import check_chains
from skerry.engine.home import Home
from skerry.engine.journal import Journal
from skerry.engine.models.revisions import fetch_pinned, pin_of
from skerry.engine.records import (
    AppRecord,
    Deployment,
    KeptDeployment,
    ModelPin,
    Records,
    RevisionDraft,
    RevisionRecord,
)
from skerry.engine.sources.environment import Builds, Environment, ensure
from skerry.engine.sources.imports import leading_imports
from skerry.engine.sources.requirements import check_requirements, declared_requirements, read_lock
from skerry.engine.sources.source import Source, take
from skerry.engine.succession import Succession, all_or_none
from skerry.engine.supervisor import Supervisor, source_target
from skerry.errors import ConfigError, PrivacyError, SkerryError
from skerry.runtime.concurrency import check_concurrency
from skerry.runtime.inspecting import inspect_app
from skerry.runtime.model_source import ModelSource
from skerry.runtime.nursery import Nursery
from skerry.runtime.pinned_model import PinnedModel
from skerry.runtime.sharing import check_share_load
from skerry.spec import (
    ENGINE,
    SET_VARIABLE,
    STATE_VARIABLE,
    FunctionSpec,
    ModelReference,
    function_spec,
    read_project_file,
    refuse_unsupported,
    resolve,
    source_of,
)

logger = logging.getLogger(__name__)
LACKING_PERIOD_S = 2.0
LAST_WORDS_BYTES = 4096


@dataclass(frozen=True, slots=True, kw_only=True)
class _Trial:
    """An app that is to be deployed if its functions can load."""

    app: AppRecord
    source: Source
    specs: Mapping[str, FunctionSpec]
    schemas: Mapping[str, Mapping[str, Any]]
    back_to: int | None = None


class Deployer:
    """Deploys apps, one at a time; whatever fails leaves the old revisions serving.

    Args:
        home: The engine's folder.
        records: Where apps and revisions are kept.
        supervisor: What serves them.
        journal: Takes events.
        models: Where models come from.
    """

    def __init__(
        self, home: Home, records: Records, supervisor: Supervisor, journal: Journal, models: ModelSource
    ) -> None:
        self._home = home
        self._records = records
        self._supervisor = supervisor
        self._journal = journal
        self._models = models
        self.on_change: Callable[[], Awaitable[None]] = (
            _nothing  # awaited when other functions are deployed than before
        )
        self._builds = Builds()
        self._one_at_a_time = asyncio.Lock()
        self._succession = Succession(records, supervisor)
        self._lacking: asyncio.Task[None] | None = None

    async def deploy(self, target: str, *, flags: list[str], settings: str, same_machine: bool = True) -> Deployment:
        """Deploy an app.

        Args:
            target: ``FILE[:app]`` or ``package.module[:app]``; files are absolute.
            flags: ``FUNCTION.OPTION=VALUE`` settings of the command line.
            settings: The text of ``SKERRY_SET`` where the command was given.
            same_machine: Whether it was given on this machine; others deploy no function that is labelled ``local``.

        Raises:
            AppImportError: the app cannot be imported; its traceback is in the details.
            ConfigError: an option is wrong, or another app owns a name.
            EnvironmentBuildError: its requirements cannot be installed.
            ModelNotFoundError: there is no such model, version or alias as one of its functions names.
            StorageError: the store of models cannot be reached.
            StartError: a worker cannot load its function.
            UnavailableError: there is no memory for a worker beside those that serve, or the engine stops.
            PrivacyError: a function is labelled ``local``, and came from another machine.
        """
        async with self._one_at_a_time:
            source = await asyncio.to_thread(take, target, self._home.sources)
            project = {} if source.project_file is None else read_project_file(source.project_file)
            requirements = declared_requirements(project, source)
            lock = read_lock(source)
            environment = await asyncio.to_thread(ensure, requirements, self._home, lock=lock, builds=self._builds)
            with self._supervisor.nurseries.throwaway(environment) as nursery:
                nursery.preload(await asyncio.to_thread(leading_imports, source))
                description = await self._inspect(source, nursery)
                check_requirements(requirements, description)
                imports = (*project.get("app", {}).get("imports", ()), *description["imports"])
                nursery.preload(imports)
                declared = {name: entry["options"] for name, entry in description["functions"].items()}
                given = {name: os.environ[name] for name in (STATE_VARIABLE,) if name in os.environ}
                specs = resolve(
                    declared, file=project, environment={SET_VARIABLE: settings, **given}, flags=flags, platform=ENGINE
                )
                check_chains(specs)
                for name, spec in specs.items():
                    refuse_unsupported(spec, ENGINE)
                    _check_place(name, spec, same_machine=same_machine)
                    check_concurrency(name, spec.concurrency, is_async=description["functions"][name]["is_async"])
                    check_share_load(name, share_load=spec.share_load, load=description["functions"][name]["load"])
                app = AppRecord(
                    name=description["name"],
                    target=target,
                    source_digest=source.digest,
                    source=source.to_dict(),
                    environment_digest=environment.digest,
                    requirements=requirements,
                    imports=imports,
                    event_sources={
                        name: source_of(one, where=f"source {name!r}").to_dict()
                        for name, one in description["event_sources"].items()
                    },
                )
                schemas = {name: entry["schema"] for name, entry in description["functions"].items()}
                trial = _Trial(app=app, source=source, specs=specs, schemas=schemas)
                return await self._put_in_place(trial, environment, nursery)

    async def roll_back(
        self, function: str, *, to: int | None = None, same_machine: bool = True
    ) -> tuple[Deployment, KeptDeployment]:
        """Deploy the app of a function as it was before its latest deployment; once more goes further back.

        Aliases of models mean what they mean now: they have a rollback of their own.

        Args:
            function: One of the app's functions, or one that the latest deployment has removed; the others go back
                with it.
            to: The number of the kept deployment to go back to, instead of the one before the latest. The latest
                changes nothing, so that whoever asks twice goes back once.
            same_machine: As of `deploy`.

        Returns:
            What that did, and the deployment that serves again.

        Raises:
            FunctionNotFoundError: there is no such function.
            ConfigError: nothing is kept from before, or not that deployment, or its code is not.
            SkerryError: as `deploy`; what serves goes on serving.
        """
        async with self._one_at_a_time:
            earlier = self._records.apps.before(function) if to is None else self._find_kept(function, to)
            source = Source.from_dict(earlier.app.source, self._home.sources)
            if source.root is None:
                raise ConfigError(
                    f"app {earlier.app.name!r} was deployed from the installed module {source.module}, of which no "
                    "earlier code is kept",
                    hint="install the earlier version, and deploy it",
                )
            specs = {one.function: function_spec(one.spec, where=one.function) for one in earlier.drafts}
            schemas = {one.function: one.schema for one in earlier.drafts}
            for name, spec in specs.items():
                _check_place(name, spec, same_machine=same_machine)
            requirements, lock = earlier.app.requirements, read_lock(source)
            environment = await asyncio.to_thread(ensure, requirements, self._home, lock=lock, builds=self._builds)
            app = replace(earlier.app, environment_digest=environment.digest)
            with self._supervisor.nurseries.throwaway(environment) as nursery:
                nursery.preload(app.imports)
                trial = _Trial(app=app, source=source, specs=specs, schemas=schemas, back_to=earlier.number)
                return await self._put_in_place(trial, environment, nursery), earlier

    def _find_kept(self, function: str, number: int) -> KeptDeployment:
        kept = {one.number: one for one in self._records.apps.kept(function)}
        if number not in kept:
            numbers = ", ".join(map(str, sorted(kept))) or "none"
            raise ConfigError(
                f"deployment {number} of the app of {function!r} is not kept; there are: {numbers}",
                hint=f"skerry rollback {function} --list shows them",
            )
        return kept[number]

    async def restore(self) -> None:
        """Serve what was served when the engine ended; an app that cannot be is reported and left out.

        A function whose model is neither on this machine nor to be had now is served as soon as it is.
        """
        lacking = {app.name for app in self._records.apps.all() if await self._restore(app, level=logging.ERROR)}
        if lacking:
            self._lacking = asyncio.get_running_loop().create_task(self._restore_lacking(lacking))

    def stop(self) -> None:
        """End builds of environments that are under way, begin none any more, and switch nothing over."""
        self._succession.stop()
        self._builds.stop()
        if self._lacking is not None:
            self._lacking.cancel()

    async def remove(self, name: str) -> None:
        """Remove an app and its functions.

        Raises:
            FunctionNotFoundError: there is no such app.
        """
        async with self._one_at_a_time:
            for revision in self._records.apps.remove(name):
                self._supervisor.stop_serving(revision.function)
                self._journal.add(revision.function, "removed", {"app": name})
            self._supervisor.end_unused_zygotes()
            await self.on_change()

    async def _restore(self, app: AppRecord, *, level: int) -> bool:
        """Serve an app's functions that are not served; whether the model of one of them cannot be had now.

        Args:
            app: The app.
            level: At which that is logged.
        """
        is_lacking = False
        try:
            lock = read_lock(Source.from_dict(app.source, self._home.sources)) if app.requirements else ""
            environment = await asyncio.to_thread(ensure, app.requirements, self._home, lock=lock, builds=self._builds)
            for revision in self._records.apps.active(app.name):
                if revision.function in self._supervisor.served:
                    continue
                try:
                    pinned = await asyncio.to_thread(self._restore_pin, revision)
                except SkerryError as error:
                    is_lacking = True
                    text = "%s is not served until its model can be had: %s"
                    logger.log(level, text, revision.name, error.message)
                else:
                    self._supervisor.serve(app, revision, environment, pinned=pinned, workers=0)
        except SkerryError as error:
            logger.error("app %r is not served: %s", app.name, error.message)
        except Exception as error:  # whatever it is, it is this app's; the others have nothing to do with it
            logger.error("app %r is not served: %s: %s", app.name, type(error).__name__, error)
        return is_lacking

    async def _restore_lacking(self, lacking: set[str]) -> None:
        """Try again to serve the apps that lack a model, until none does any more."""
        while lacking:
            await asyncio.sleep(LACKING_PERIOD_S)
            async with self._one_at_a_time:
                apps = [app for app in self._records.apps.all() if app.name in lacking]
                lacking = {app.name for app in apps if await self._restore(app, level=logging.DEBUG)}

    async def _put_in_place(self, trial: _Trial, environment: Environment, nursery: Nursery) -> Deployment:
        """Start a worker of each function, and if all of them can load, get ready, record the deployment and switch.

        The records and the front change in one turn of the loop: a killed engine leaves all of it or nothing.
        """
        base, specs = source_target(trial.source), trial.specs
        models = {name: await asyncio.to_thread(self._pin, spec) for name, spec in specs.items()}
        modules = await all_or_none(
            self._supervisor.try_out(spec, base, nursery, models[name]) for name, spec in specs.items()
        )
        drafts = [
            RevisionDraft(
                function=name,
                spec=spec.to_dict(),
                schema=trial.schemas[name],
                modules=needed,
                model=_pin_of(models[name]),
            )
            for (name, spec), needed in zip(specs.items(), modules, strict=True)
        ]
        try:
            zygote = self._supervisor.nurseries.kept(environment) or nursery
            successors = await self._succession.get_ready(trial.app, drafts, zygote, models)
            deployment = self._records.apps.deploy(
                trial.app, drafts, now_s=time.time(), back_to=trial.back_to, successors=successors
            )
            self._supervisor.nurseries.keep(environment, nursery)
            self._switch(deployment, environment, models)
        finally:
            self._supervisor.drop_prepared()
        self._supervisor.end_unused_zygotes()
        await self.on_change()
        return deployment

    async def _inspect(self, source: Source, nursery: Nursery) -> dict[str, Any]:
        with tempfile.TemporaryFile() as log:
            log_fd = log.fileno()
            return await inspect_app(nursery, source_target(source), log_fd=log_fd, said=lambda: _last_words(log_fd))

    def _pin(self, spec: FunctionSpec) -> PinnedModel | None:
        """Return the version that a function's model means now, fetched; none without a model."""
        if spec.model is None:
            return None
        return self._models.fetch(self._models.resolve(ModelReference.parse(spec.model)))

    def _restore_pin(self, revision: RevisionRecord) -> PinnedModel | None:
        """Return the version that a revision served before: the cache has it, whether the store answers or not.

        Whether its alias has moved meanwhile is for `ModelWatch` to find out.
        """
        if revision.model is None:
            return None
        pinned = fetch_pinned(self._models, revision.model)
        logger.info("%s serves %s@%d again, from the cache", revision.name, pinned.name, pinned.version)
        return pinned

    def _switch(
        self, deployment: Deployment, environment: Environment, models: Mapping[str, PinnedModel | None]
    ) -> None:
        active = {revision.function for revision in deployment.active}
        for revision in deployment.retired:
            if revision.function not in active:
                self._supervisor.stop_serving(revision.function)
        for revision in deployment.active:
            served = self._supervisor.served.get(revision.function)
            if served is not None and served.revision.name == revision.name:
                continue
            # It is new, or one that this engine could not restore when it started.
            self._supervisor.serve(deployment.app, revision, environment, pinned=models[revision.function])
            self._journal.add(revision.function, "deployed", {"revision": revision.name, "app": deployment.app.name})
        # It imports the libraries meanwhile, also when no worker is wanted yet: the first call finds them there.
        self._supervisor.nurseries.of(environment).start()


def _check_place(name: str, spec: FunctionSpec, *, same_machine: bool) -> None:
    if spec.local and not same_machine:
        raise PrivacyError(f"function {name!r} is labelled local: deploy it on its site itself")


async def _nothing() -> None:
    """Do nothing."""


def _pin_of(pinned: PinnedModel | None) -> ModelPin | None:
    return None if pinned is None or pinned.manifest is None else pin_of(pinned.manifest)


def _last_words(log_fd: int) -> str:
    """Return the end of a log, whose position is its writers'."""
    start = max(0, os.fstat(log_fd).st_size - LAST_WORDS_BYTES)
    return os.pread(log_fd, LAST_WORDS_BYTES, start).decode("utf-8", "replace").strip()
