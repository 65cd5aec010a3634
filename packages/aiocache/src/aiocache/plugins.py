"""Observe the commands of a cache."""

from aiocache_core import BasePlugin, HitMissRatioPlugin, TimingPlugin

__all__ = ["BasePlugin", "HitMissRatioPlugin", "TimingPlugin"]
