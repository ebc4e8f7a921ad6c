"""Find frauds among payments by a chain of four functions, and see what a hop between two of them costs.

Run: python examples/fraud.py
"""

import statistics

import numpy as np

import skerry

app = skerry.App("fraud", imports=("numpy", "sklearn.linear_model", "sklearn.metrics"))
Table = dict[str, np.ndarray]
RUNS = 10


@app.function
def aggregate(sources: list[Table]) -> Table:
    """Put what shops and websites have told together, in the order of time."""
    table = {name: np.concatenate([source[name] for source in sources]) for name in sources[0]}
    order = np.argsort(table["second"], kind="stable")
    return {name: column[order] for name, column in table.items()}


@app.function
def clean(payments: Table) -> Table:
    """Leave out payments without an amount, and those that were told twice."""
    _, first = np.unique(payments["id"], return_index=True)
    kept = np.sort(first)
    kept = kept[np.isfinite(payments["amount"][kept]) & (payments["amount"][kept] > 0)]
    return {name: column[kept] for name, column in payments.items()}


@app.function
def extract(payments: Table) -> Table:
    """Describe each payment by what was known at its moment: the card's habits, its last payment, where and when."""
    usual: dict[int, float] = {}
    last: dict[int, float] = {}
    rows = []
    for card, amount, second, abroad in zip(
        *(payments[name].tolist() for name in ("card", "amount", "second", "abroad")), strict=True
    ):
        habit = usual.get(card, np.log(amount))
        pause = second - last.get(card, second - 86_400)
        night = second % 86_400 < 6 * 3600
        rows.append([np.log(amount) - habit, np.log1p(pause), abroad, night])
        usual[card], last[card] = 0.8 * habit + 0.2 * np.log(amount), second
    return {"features": np.array(rows), "is_fraud": payments["is_fraud"]}


@app.function
def analyse(table: Table) -> dict[str, float]:
    """Learn from the first two thirds, and judge by the rest: the area under the curve."""
    from sklearn.linear_model import LogisticRegression
    from sklearn.metrics import roc_auc_score

    known = len(table["is_fraud"]) * 2 // 3
    model = LogisticRegression(max_iter=1000).fit(table["features"][:known], table["is_fraud"][:known])
    scores = model.decision_function(table["features"][known:])
    found = roc_auc_score(table["is_fraud"][known:], scores)
    return {"auc": float(found), "payments": float(len(table["is_fraud"]))}


fraud = app.chain("detect", [aggregate, clean, extract, analyse])


def make_sources(seed: int, count: int = 4000, cards: int = 150) -> list[Table]:
    """Return payments of two sources; in one of 25 somebody else has the card: more, abroad, at night, in a hurry."""
    generator = np.random.default_rng(seed)
    card = generator.integers(cards, size=count)
    second = np.sort(generator.uniform(0, 30 * 86_400, count))
    is_fraud = generator.random(count) < 0.04
    amount = np.exp(generator.normal(3, 0.5, cards)[card] + generator.normal(0, 0.4, count) + 0.8 * is_fraud)
    abroad = generator.random(count) < np.where(is_fraud, 0.4, 0.05)
    at_night = is_fraud & (generator.random(count) < 0.5)
    second[at_night] -= second[at_night] % 86_400 * 0.75
    amount[generator.random(count) < 0.02] = np.nan
    table = {"id": np.arange(count), "card": card, "second": second, "amount": amount, "abroad": abroad}
    table["is_fraud"] = is_fraud
    shops = generator.random(count) < 0.6
    websites = ~shops | (generator.random(count) < 0.03)  # some are told by both
    return [{name: column[told] for name, column in table.items()} for told in (shops, websites)]


def main() -> None:
    """Do the steps in this process, by functions, and in one function; compare what they find and what they cost."""
    sources = make_sources(seed=7)
    alone = analyse(extract(clean(aggregate(sources))))
    print(f"{alone['payments']:g} payments, area under the curve {alone['auc']:.4f}")
    with app.run():
        costs = {}
        for mode in ("separated", "fused"):
            same = fraud.remote(sources, mode=mode) == alone  # this run has waited for workers; the others are warm
            hops = []
            for _ in range(RUNS):
                run = fraud.start(sources, mode=mode)
                same = same and run.result() == alone
                hops.append(run.record()["cost"]["hop_ms"])
            costs[mode] = statistics.median(hops)
            print(f"{mode}: the same as in one process: {same}")
    for mode, cost_ms in costs.items():
        print(f"{mode}: a hop costs {cost_ms:.2f} ms in the median of {RUNS} runs")


if __name__ == "__main__":
    main()
