"""The engine's memory: apps and revisions, jobs, events, usage, in one SQLite file that survives the engine's death."""

from skerry.engine.records.apps import Apps
from skerry.engine.records.events import EventRecord, Events
from skerry.engine.records.jobs import JobRecord, JobRequest, JobResult, Jobs, JobStatus, Recovery
from skerry.engine.records.model_pin import ModelPin
from skerry.engine.records.records import Records
from skerry.engine.records.revisions import AppRecord, Deployment, KeptDeployment, RevisionDraft, RevisionRecord
from skerry.engine.records.usage import Usage, UsageRecord

__all__ = [
    "AppRecord",
    "Apps",
    "Deployment",
    "EventRecord",
    "Events",
    "JobRecord",
    "JobRequest",
    "JobResult",
    "JobStatus",
    "Jobs",
    "KeptDeployment",
    "ModelPin",
    "Records",
    "Recovery",
    "RevisionDraft",
    "RevisionRecord",
    "Usage",
    "UsageRecord",
]
