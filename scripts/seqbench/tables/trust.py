"""How often intervals hold the truth, and what choosing the fastest variant does to its time.

By simulation: runs are drawn whose cases have the medians of a real run, its noise between
rounds, and what its rounds do to all cases alike. Then the truth is known.
"""
from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from seqbench.read import runs
from seqbench.tables import noise, ratios
from seqbench.tables.crossover import crossing_interval, crossings, drawn_ratios
from seqbench.tables.ratios import CELL, KEY

REPEATS = 40  # simulated runs
MEDIANS, RATIOS, CROSSINGS = "medians", "ratios", "crossovers"
CHOICE = "choosing the fastest variant"
APART_MEDIANS, APART_RATIOS, APART_VERDICTS, OPPOSITE = (
    "two runs: medians", "two runs: ratios", "two runs: verdicts", "two runs: opposite verdicts")
OTHER = "_other"  # what the columns of the second of two runs end in
ADDED = 3  # rounds that --until may add to a case that is not known well


@dataclass(frozen=True)
class Model:
    """What is drawn from: true log medians, noise of each case, residuals, what rounds share."""
    index: pd.MultiIndex
    truth: np.ndarray
    spread: np.ndarray
    residuals: np.ndarray
    shared: float

    @classmethod
    def of(cls, logs: pd.DataFrame) -> Model:
        """From the rounds of a real run; cases of fewer than three rounds are left out."""
        logs = logs[np.isfinite(logs).sum(axis=1) >= 3]
        side = logs.to_numpy()
        found = noise.noise_of(side)
        spread = found.own_error / np.sqrt(noise.median_weights(side))
        effect = np.nanmedian(noise.centred(side), axis=0)
        count = np.isfinite(side).sum(axis=1, keepdims=True)
        residuals = noise.centred(side - effect) * np.sqrt(count / (count - 1)) / spread[:, None]
        kept = residuals[np.isfinite(residuals)]
        return cls(logs.index, np.nanmedian(side, axis=1), spread, kept, float(effect.std(ddof=1)))

    def drawn(self, rounds: int, random: np.random.Generator) -> np.ndarray:
        """Log times of a run, cases x rounds, around 0."""
        own = random.choice(self.residuals, (len(self.truth), rounds)) * self.spread[:, None]
        return own + random.normal(0, self.shared, rounds)


def with_added(logs: np.ndarray, more: np.ndarray, until: float) -> np.ndarray:
    """Rounds added one by one to the cases whose interval is wider than asked for."""
    for column in more.T:
        found = noise.noise_of(logs)
        wide = noise.quantile(found.df) * found.error > until
        logs = np.column_stack([logs, np.where(wide, column, np.nan)])
    return logs


def covered(model: Model, pairs: pd.DataFrame, groups: list[pd.DataFrame], logs: np.ndarray
            ) -> dict[str, tuple[int, int]]:
    """How many intervals of one simulated run hold the truth, of how many."""
    found = noise.noise_of(logs)
    error = np.nanmedian(logs, axis=1)
    table = pd.DataFrame(vars(found) | {"off": error}, index=model.index)
    held = abs(error) <= noise.quantile(found.df) * found.error
    own = ratios.own_noise(table)
    off = table.reset_index().drop_duplicates(KEY).set_index(KEY).off

    def offs(cells: pd.DataFrame) -> np.ndarray:
        mine, other = (off.reindex(pd.MultiIndex.from_frame(cases)).to_numpy()
                       for cases in (ratios.own_cases(cells), ratios.reference_cases(cells)))
        return other - mine

    wrong = offs(pairs)
    near = abs(wrong) <= ratios.half_widths(pairs, own)
    drawn = ratios.drawn_from(own)
    crossed = [crossing_held(cells.assign(ratio=cells.ratio * np.exp(offs(cells))),
                             cells.ratio.to_numpy(), drawn) for cells in groups]
    crossed = [one for one in crossed if one is not None]
    return {MEDIANS: (int(held.sum()), len(held)), RATIOS: (int(near.sum()), len(near)),
            CROSSINGS: (sum(crossed), len(crossed))}


def crossing_held(cells: pd.DataFrame, truth: np.ndarray, drawn: ratios.Drawn) -> bool | None:
    """Whether the interval of a crossing holds the true one; None where none is seen."""
    seq_len, ratio = cells.seq_len.to_numpy(), cells.ratio.to_numpy()
    place, seen = crossings(seq_len, truth), crossings(seq_len, ratio)
    if len(place) != 1 or not seen:
        return None
    low, high = crossing_interval(seq_len, ratio, drawn_ratios(cells, drawn))
    return bool((np.isnan(low) or low <= place[0]) and place[0] <= high)


def coverage(samples: pd.DataFrame, compared: pd.DataFrame, until: float) -> list[dict]:
    """Rows of trust.csv: how often 95 % intervals hold the truth."""
    model = Model.of(noise.round_medians(samples))
    known = set(model.index.to_frame()[KEY].itertuples(index=False, name=None))
    pairs = compared
    for cases_of in (ratios.own_cases, ratios.reference_cases):
        pairs = pairs[[tuple(row) in known for row in cases_of(pairs).to_numpy().tolist()]]
    groups = [cells for _, cells in pairs.groupby(["layer", *runs.ACROSS]) if len(cells) > 1]
    rows = []
    for rounds, added in ((3, 0), (3, ADDED), (5, 0), (5, ADDED)):
        random, sums = np.random.default_rng(runs.SEED), {}
        for _ in range(REPEATS):
            logs = model.drawn(rounds + added, random)
            logs = with_added(logs[:, :rounds], logs[:, rounds:], until)
            for what, counts in covered(model, pairs, groups, logs).items():
                sums[what] = np.add(sums.get(what, (0, 0)), counts)
        rows += [{"what": what, "rounds": rounds, "added": added, "cases": int(count),
                  "value": held / max(count, 1)} for what, (held, count) in sums.items()]
    return rows


def choice(samples: pd.DataFrame) -> dict:
    """By how much the time of the fastest variant is flattered by having been chosen by it.

    Each round in turn is left out of the choice, and is what is reported then.
    """
    logs = noise.round_medians(samples[samples.kind == "layer"]).reset_index()
    logs = logs.drop(columns=["kernel", "kind", "variant", "engine", "cache"])
    flattered = []
    for _, group in logs.groupby(["layer", *runs.DIMENSIONS]):
        times = group.drop(columns=["layer", *runs.DIMENSIONS]).to_numpy()
        times = times[:, np.isfinite(times).all(axis=0)]
        if times.shape[1] < 3 or len(times) < 2:
            continue
        reported = [times[np.median(np.delete(times, i, axis=1), axis=1).argmin(), i]
                    for i in range(times.shape[1])]
        flattered.append(np.mean(reported) - times.mean(axis=1).min())
    return {"what": CHOICE, "rounds": samples["round"].nunique(), "added": 0,
            "cases": len(flattered), "value": float(np.mean(flattered)) if flattered else np.nan}


def agree(both: pd.DataFrame, value: str, low: str, high: str) -> pd.Series:
    """Whether values of two runs differ by no more than their intervals allow; known ones only."""
    half = np.hypot(*(np.log(both[high + run] / both[low + run]) / 2 for run in ("", OTHER)))
    return (abs(np.log(both[value] / both[value + OTHER])) <= half)[np.isfinite(half)]


def apart(one: tuple[pd.DataFrame, pd.DataFrame], other: tuple[pd.DataFrame, pd.DataFrame]
          ) -> list[dict]:
    """In how many cases the medians, ratios and verdicts of two runs agree: summary and ratios."""
    cases = one[0].merge(other[0], on=runs.CASE, suffixes=("", OTHER))
    cells = one[1].merge(other[1], on=["layer", *CELL], suffixes=("", OTHER))
    first, second = cells.verdict, cells[f"verdict{OTHER}"]
    found = {
        APART_MEDIANS: agree(cases, "median_ns", "ci_low_ns", "ci_high_ns"),
        APART_RATIOS: agree(cells, "ratio", "ci_low", "ci_high"),
        APART_VERDICTS: first == second,
        OPPOSITE: (first != second) & (first != ratios.SAME) & (second != ratios.SAME)}
    rounds = int(one[0].rounds.max())
    return [{"what": what, "rounds": rounds, "added": 0, "cases": len(held), "value": held.mean()}
            for what, held in found.items()]


def at_equal_size(run_dir: Path, summary: pd.DataFrame) -> pd.DataFrame:
    """The ratios that the answer is made from."""
    return ratios.through(runs.load_derived(run_dir, "ratios.csv"), ratios.PARAMETER,
                          ratios.best_class(summary))


def write(run_dir: Path, other: Path, out: Path) -> pd.DataFrame:
    """trust.csv of a run, and of another run of the same machine made at another time."""
    samples = runs.samples_with_tokens(run_dir)
    both = []
    for folder in (run_dir, other):
        summary = runs.load_summary(folder)
        both.append((summary, at_equal_size(folder, summary)))
    rows = [*coverage(samples, both[0][1], runs.UNTIL), choice(samples), *apart(*both)]
    table = pd.DataFrame(rows, columns=list(runs.schema(runs.README, "trust.csv")))
    runs.make_folder(out)
    runs.write_text(out / "trust.csv", runs.csv_text(table))
    return table
