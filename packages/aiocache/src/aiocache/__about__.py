"""Hold the version, read by the build backend and at run time as ``aiocache.__version__``."""

__version__ = "1.0.0"
