"""The embedded engine as a platform: its address, its client and its process."""

from skerry.platforms.engine.client import EnginePlatform
from skerry.platforms.engine.process import EngineProcess, start_engine, stop_engine
from skerry.platforms.home import default_home, socket_path

__all__ = ["EnginePlatform", "EngineProcess", "default_home", "socket_path", "start_engine", "stop_engine"]
