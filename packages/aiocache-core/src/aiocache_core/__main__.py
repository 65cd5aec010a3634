"""List the backends, serializers and plugins that can be used by name: ``python -m aiocache_core``."""

from __future__ import annotations

from collections.abc import Iterable

from aiocache_core.registry import Row, listing, old_aiocache

HEADINGS = ("kind", "name", "distribution", "version", "contract", "problem")


def table(rows: Iterable[Row]) -> str:
    """Return the rows as a table of text; every name is loaded for it, and one that cannot be says why."""
    lines: list[tuple[str, ...]] = [HEADINGS]
    for row in rows:
        kind = row.kind.removesuffix("s")
        contract = "" if row.contract is None else str(row.contract)
        problem = " ".join((row.problem or "").split())
        lines.append((kind, row.name, row.distribution, row.version, contract, problem))
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip() for line in lines
    )


def main() -> None:
    """Print the table, and what an old aiocache beside this core means."""
    print(table(listing()))
    old = old_aiocache()
    if old is not None:
        print(
            f"\nAn aiocache {old} is installed beside aiocache-core. It keeps working, but its classes cannot"
            "\nbe used here; to have 'from aiocache import Cache' give this release: pip install -U aiocache"
        )


if __name__ == "__main__":
    main()
