"""Hold the version, read by the build backend and by nothing else at run time."""

__version__ = "1.0.0"
