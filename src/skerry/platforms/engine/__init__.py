"""The embedded engine as a platform: its address, its client and its process."""

from skerry.platforms.engine.client import EnginePlatform
from skerry.platforms.engine.process import EngineProcess, public_arguments, start_engine, stop_engine
from skerry.platforms.engine.site import SitePlatform, site_platform
from skerry.platforms.home import default_home, socket_path

__all__ = [
    "EnginePlatform",
    "EngineProcess",
    "SitePlatform",
    "default_home",
    "public_arguments",
    "site_platform",
    "socket_path",
    "start_engine",
    "stop_engine",
]
