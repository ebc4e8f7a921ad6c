"""States in Redis or Valkey: any number of machines work on them at once."""

from skerry.store.state.redis.store import RedisStateStore

__all__ = ["RedisStateStore"]
