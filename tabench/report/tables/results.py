"""Table 1 and its like: values of the runs, one row a method, one declared column a quantity."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace

from tabench.report.records import wording
from tabench.report.records.judgement import judge
from tabench.report.records.published import Published
from tabench.report.records.reading import Results
from tabench.report.records.scores import DELTA_DIGITS, Point, deltas, metric_points, parameter_points
from tabench.report.tables.table import Column, Entry, Table
from tabench.stats.delta_b import VARIANTS
from tabench.stats.ranking import rank
from tabench.stats.seeds import t_interval

METHOD, SEEDS = Column("Method", words=True), Column("Seeds")


@dataclass(frozen=True)
class Quantity:
    """A column with where its values come from.

    Attributes:
        column: The column.
        points: A method to its runs' values, and why some are missing ("" if none is).
        spread: Whether the values spread over seeds.
        baseline: The method that its values are taken against, whose own have neither spread nor meaning.
    """

    column: Column
    points: Callable[[str], tuple[Sequence[Point], str]]
    spread: bool = True
    baseline: str = ""

    def entries(self, results: Results) -> list[Entry]:
        """An entry for each method; the best and the second by the numbers as they are shown."""
        found = [self._entry(results, method) for method in results.methods]
        if not self.column.better:
            return found
        ranks = rank([None if e.value is None else float(e.shown) for e in found], self.column.better)
        return [replace(entry, rank=place) for entry, place in zip(found, ranks, strict=True)]

    def _entry(self, results: Results, method: str) -> Entry:
        points, reason = self.points(method)
        itself = method == self.baseline
        reason = "the baseline itself" if itself else reason
        reason = reason if results.of(method) else "no finished run"
        if not points:
            return Entry("n/a", reason=reason)
        interval = t_interval([point.value for point in points])
        several = len(points) > 1 and self.spread and not itself
        return Entry(
            self.column.text(interval.mean),
            interval.mean,
            sd=interval.sd if several else None,
            half=interval.half_width if several else None,
            shown_sd=wording.number(interval.sd, self.column.digits) if several else "",
            reason=reason,
            points=tuple(points),
        )


def metrics(results: Results, protocol: str) -> Iterable[Quantity]:
    """Every metric of the protocol."""
    for m in results.first["metrics"]:
        if m["protocol"] == protocol:
            name, group = f"{m['task']}.{m['key']}", wording.task_title(m["task"])
            yield Quantity(
                Column(m["title"], name, group, m["unit"], m["better"], m["digits"]),
                lambda method, name=name: metric_points(results, method, name, protocol),  # type: ignore[misc]
            )


def gains(results: Results, protocol: str) -> Iterable[Quantity]:
    """Delta_b against each baseline of the experiment."""
    for base in results.baselines:
        yield Quantity(
            _gain(f"vs {results.title(base)}", f"delta.{base}", "Δ_b"),
            lambda method, base=base: deltas(results, method, base, protocol),  # type: ignore[misc]
            baseline=base,
        )


def _gain(title: str, name: str, group: str, better: str = "higher") -> Column:
    return Column(title, name, group, "%", better, DELTA_DIGITS, signed=True)


def size(results: Results, protocol: str) -> Iterable[Quantity]:
    """Trained parameters."""
    column = Column("Params", "parameters", "Trained", "M", digits=3)
    yield Quantity(column, lambda method: (parameter_points(results, method), ""), spread=False)


# The columns of Table 1 from left to right: a further one is a function of the results and a line here.
QUANTITIES = (metrics, gains, size)


def results_table(results: Results, protocol: str, published: Published | None = None) -> Table:
    """Build the table of all metrics of all tasks, Delta_b and trained parameters.

    Args:
        results: What was run.
        protocol: "paper", "pascal" or "pixel".
        published: Values to print beside them; None where they are not comparable.
    """
    found = [quantity for make in QUANTITIES for quantity in make(results, protocol)]
    columns = [(quantity.column, quantity.entries(results)) for quantity in found]
    if published is not None:
        columns += _published(results, protocol, published, [column for column, _ in columns])
    title = str(results.experiment.get("table") or "Table 1")
    main = protocol in wording.MAIN
    return _table(
        results,
        columns,
        name=stem(title) if main else f"{stem(title)}_{protocol}",
        title=title if main else f"{title} ({protocol} protocol)",
        caption=wording.caption(results, protocol),
        protocol=protocol,
        notes=wording.footnotes(results, protocol) + (published.notes() if published is not None else []),
    )


def definitions_table(results: Results, protocols: Sequence[str]) -> Table | None:
    """Build the table of Delta_b under every definition: variant, baseline and protocol.

    Args:
        results: What was run.
        protocols: Protocols of the results tables, the main one first.

    Returns:
        The table; None if the experiment has no baseline with a row of its own.
    """
    found = [
        Quantity(
            _gain(
                *(variant.name, f"delta.{base}.{protocol}.{variant.name}"),
                *(f"vs {results.title(base)}, {protocol}", variant.better),
            ),
            lambda method, given=(base, protocol, variant.name): deltas(results, method, *given),  # type: ignore[misc]
            baseline=base,
        )
        for base in results.baselines
        for protocol in protocols
        for variant in VARIANTS.values()
    ]
    if not found:
        return None
    warning = wording.short_warning(results)
    table = _table(
        results,
        [(quantity.column, quantity.entries(results)) for quantity in found],
        name="delta_b",
        title="Δ_b by definition",
        caption=f"{results.experiment.get('title') or results.name}: the same runs under every definition.",
        protocol=protocols[0],
        notes=(),
    )
    formulas = [
        f"{v.name} v{v.version} ({v.source}), {v.better} is better: {v.formula}." for v in VARIANTS.values()
    ]
    last = [_agreement(table, found), f"Mean ± standard deviation over seeds. {wording.PAIRED}"]
    return replace(table, notes=[*([warning] if warning else []), *formulas, *last])


def _table(
    results: Results,
    columns: Sequence[tuple[Column, Sequence[Entry]]],
    *,
    name: str,
    title: str,
    caption: str,
    protocol: str,
    notes: Sequence[str],
) -> Table:
    """A row a method: its title, its entries, its runs ("2 of 3").

    The title has † where seeds are missing and ‡ where maps are constant.
    """
    rows, flat = [], wording.constant_maps(results)
    for place, method in enumerate(results.methods):
        have, want = len(results.of(method)), results.planned(method)
        lacks = have < want
        marks = [mark for mark, holds in (("†", lacks), ("‡", method in flat)) if holds]
        first = Entry(" ".join([results.title(method), *marks]))
        last = Entry(f"{have} of {want}" if lacks else str(have), have)
        rows.append([first, *(entries[place] for _, entries in columns), last])
    return Table(
        name,
        title,
        caption,
        [METHOD, *(column for column, _ in columns), SEEDS],
        rows,
        notes,
        warning=wording.short_warning(results),
        experiment=results.name,
        keys=results.methods,
        protocol=protocol,
    )


def protocols_of(results: Results) -> list[str]:
    """Every protocol that the runs were measured in, the dataset's main one first."""
    found = dict.fromkeys(str(metric["protocol"]) for metric in results.first["metrics"])
    return sorted(found, key=lambda protocol: protocol not in wording.MAIN)


def stem(number: str) -> str:
    """A table's number as a file stem: "Table 4" is "table4"."""
    return "".join(letter for letter in number.lower() if letter.isascii() and letter.isalnum()) or "table1"


def _published(
    results: Results, protocol: str, published: Published, measured: Sequence[Column]
) -> list[tuple[Column, list[Entry]]]:
    """Three columns for each metric that a published value speaks about."""
    found = []
    named = published.columns([column.id for column in measured])
    for column in (column for column in measured if column.id in named):
        how = (column.id, column.digits, protocol, published)
        judged = [judge(results, method, *how) for method in results.methods]
        why = [j.why or ("" if j.printed else "no published value could be verified") for j in judged]
        value = replace(column, id=f"published.{column.id}", group="Published", better="")
        texts = {
            value: [j.printed or "not known" for j in judged],
            Column("Evidence", f"evidence.{column.id}", "Published"): [j.evidence for j in judged],
            Column("Verdict", f"verdict.{column.id}", "Published"): [j.word for j in judged],
        }
        for each, shown in texts.items():
            found.append((each, [Entry(t, reason=r) for t, r in zip(shown, why, strict=True)]))
    return found


def _agreement(table: Table, quantities: Sequence[Quantity]) -> str:
    """Whether the definitions agree on the best method of each baseline."""
    titles = {key: row[0].shown for key, row in zip(table.keys, table.rows, strict=True)}
    best: dict[str, dict[str, list[str]]] = {}
    for q in quantities:
        _, protocol, variant = q.column.id.removeprefix(f"delta.{q.baseline}").split(".")
        for key in table.keys:
            if table.entry(key, q.column.id).rank == 1:
                under = best.setdefault(titles[q.baseline], {}).setdefault(titles[key], [])
                under.append(f"{variant}, {protocol}")
    lines = []
    for name, found in best.items():
        which = "; ".join(f"{method} ({', '.join(under)})" for method, under in found.items())
        lines.append(
            f"Against {name}, every definition finds the same best method: {next(iter(found))}."
            if len(found) == 1
            else f"Against {name}, the best method depends on the definition: {which}."
        )
    return " ".join(lines) or "No Δ_b is defined yet."
