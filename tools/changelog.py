"""Gather ``news/`` of one distribution into its ``CHANGELOG.md``, under its version: ``changelog.py aiocache-redis``."""

from __future__ import annotations

import datetime as dt
import runpy
import sys
from pathlib import Path

PACKAGES = Path(__file__).parents[1] / "packages"
KINDS = ["added", "changed", "fixed", "removed"]


def gather(folder: Path) -> str:
    """Return what the changelog has to say of the fragments in ``folder``."""
    parts: list[str] = []
    for kind in KINDS:
        lines = [f"- {path.read_text('utf-8').strip()}" for path in sorted(folder.glob(f"*.{kind}.md"))]
        if lines:
            parts += [f"### {kind.capitalize()}", "", *lines, ""]
    return "\n".join(parts)


def main(name: str) -> None:
    """Write the section of the version that is about to be released, and remove the fragments."""
    folder = PACKAGES / name
    about = next(folder.glob("src/*/__about__.py"), None)
    if about is None:
        sys.exit(f"no distribution {name!r} in packages/; there are: {', '.join(p.name for p in PACKAGES.iterdir())}")
    news = gather(folder / "news")
    if not news:
        sys.exit(f"{name} has nothing to tell: packages/{name}/news/ holds no fragment")
    version = runpy.run_path(str(about))["__version__"]
    changelog = folder / "CHANGELOG.md"
    head, mark, rest = changelog.read_text("utf-8").partition("\n## ")
    if rest.startswith(version):
        sys.exit(f"{changelog.name} has a section {version} already; type first: hatch version minor")
    today = dt.datetime.now(tz=dt.UTC).date()
    changelog.write_text(f"{head}\n## {version} ({today})\n\n{news}{mark}{rest}", "utf-8")
    for kind in KINDS:
        for path in (folder / "news").glob(f"*.{kind}.md"):
            path.unlink()


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    main(sys.argv[1])
