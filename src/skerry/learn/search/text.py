"""Texts counted once, and the exact TF-IDF matrix of any fold from the shared counts.

scikit-learn's vectoriser tokenises every document again for every candidate and fold, though a document's words depend
on neither. Here they are counted once. Everything that does depend on the fold (the vocabulary, the cuts by document
frequency, the inverse document frequencies) is taken from the fold's training rows alone, so nothing leaks from the
validation rows, and the matrices equal scikit-learn's bit by bit: same columns, same values, same order inside a row,
which decides how later sums are rounded.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from skerry.learn.search.dataset import Dataset, write_once

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

_ANALYSIS = ("lowercase", "strip_accents", "stop_words", "token_pattern", "ngram_range", "analyzer")
_CUTS = ("min_df", "max_df", "max_features")
_WEIGHTS = ("norm", "use_idf", "smooth_idf", "sublinear_tf")
_DEFAULT_WORD = r"(?u)\b\w\w+\b"
_PATHS = {
    "sklearn.feature_extraction.text.TfidfVectorizer": "tfidf",
    "sklearn.feature_extraction.text.CountVectorizer": "count",
}


@dataclass(frozen=True, slots=True)
class View:
    """How a fold's matrix follows from the texts: which words are counted, which are cut, how they are weighted.

    The three parts are sorted pairs, so that equal views are equal keys of a cache.
    """

    kind: str
    analysis: tuple[tuple[str, Any], ...]
    cuts: tuple[tuple[str, Any], ...]
    weights: tuple[tuple[str, Any], ...]


def view_of(vectorizer: Any) -> View | None:
    """Return the view that stands for a vectoriser, or None when the shared counts cannot stand for it.

    Args:
        vectorizer: The first step of a pipeline, with the candidate's parameters set.
    """
    cls: Any = type(vectorizer)
    public = f"sklearn.feature_extraction.text.{cls.__name__}"
    if public not in _PATHS or not cls.__module__.startswith("sklearn.feature_extraction."):
        return None
    defaults = _defaults(cls)
    given = {name: getattr(vectorizer, name) for name in defaults}
    changing = {*_ANALYSIS, *_CUTS, *_WEIGHTS}
    fixed = ((given[name], default) for name, default in defaults.items() if name not in changing)
    if any(value is not default and value != default for value, default in fixed):
        return None
    if callable(given["analyzer"]):
        return None
    stop_words = given["stop_words"]
    if isinstance(stop_words, list):
        given["stop_words"] = tuple(stop_words)

    def pick(names: Sequence[str]) -> tuple[tuple[str, Any], ...]:
        return tuple((name, given[name]) for name in names if name in given)

    return View(_PATHS[public], pick(_ANALYSIS), pick(_CUTS), pick(_WEIGHTS))


@lru_cache
def _defaults(cls: type) -> dict[str, Any]:
    defaults: dict[str, Any] = cls().get_params(deep=False)
    return defaults


def share_counts(data: Dataset, analysis: tuple[tuple[str, Any], ...]) -> Path:
    """Count the words of every document, unless that was done before, and return the folder of the counts.

    Args:
        data: The texts.
        analysis: The part of a `View` that says what a word is.

    Returns:
        A folder with ``data.npy``, ``indices.npy`` and ``indptr.npy`` (a compressed sparse row matrix, shape
        (documents, words); words are numbered in sorted order; inside a row they stand as the document first names
        them) and ``words.json``.
    """
    name = hashlib.sha256(json.dumps(analysis).encode()).hexdigest()[:16]
    # Beside the data, whose folder is its content and nothing else.
    beside = data.folder.with_name(f"{data.folder.name}.counts")
    return write_once(beside / name, partial(_write_counts, data, analysis))


def _write_counts(data: Dataset, analysis: tuple[tuple[str, Any], ...], folder: Path) -> None:
    import numpy as np

    count = _make_counter(dict(analysis))
    # A word that is met for the first time gets the next number.
    numbers: defaultdict[str, int] = defaultdict()
    numbers.default_factory = numbers.__len__
    found: list[int] = []
    values: list[int] = []
    ends = [0]
    for text in data.read_texts():
        words = count(text)
        found.extend(map(numbers.__getitem__, words))
        values.extend(words.values())
        ends.append(len(found))
    words_sorted = sorted(numbers)
    rank = np.empty(len(numbers), dtype=np.int32)
    rank[[numbers[word] for word in words_sorted]] = np.arange(len(numbers), dtype=np.int32)
    np.save(folder / "indices.npy", rank[np.asarray(found, dtype=np.int64)])
    np.save(folder / "data.npy", np.asarray(values, dtype=np.int32))
    np.save(folder / "indptr.npy", np.asarray(ends, dtype=np.int64 if ends[-1] > 2**31 - 1 else np.int32))
    (folder / "words.json").write_text(json.dumps(words_sorted))


def _make_counter(analysis: dict[str, Any]) -> Callable[[str], dict[str, int]]:
    """Return the function from a document to its words with their counts, in the order of their first use."""
    from sklearn.feature_extraction.text import CountVectorizer

    if isinstance(analysis.get("stop_words"), tuple):
        analysis["stop_words"] = list(analysis["stop_words"])
    vectorizer = CountVectorizer(**analysis)
    if analysis["analyzer"] != "word" or tuple(analysis["ngram_range"]) != (1, 1):
        analyze = vectorizer.build_analyzer()
        return lambda text: Counter(analyze(text))
    prepare, tokenize = vectorizer.build_preprocessor(), vectorizer.build_tokenizer()
    if analysis["token_pattern"] == _DEFAULT_WORD:
        # A greedy match of word characters begins and ends at word boundaries anyway; not asking for them is faster.
        tokenize = re.compile(r"\w\w+").findall
    stop_words = vectorizer.get_stop_words() or frozenset()

    def count(text: str) -> dict[str, int]:
        words = Counter(tokenize(prepare(text)))
        # Stop words are dropped after counting: once per different word instead of once per word.
        for word in stop_words & words.keys():
            del words[word]
        return words

    return count


@lru_cache(maxsize=4)
def open_counts(folder: str) -> Any:
    """Return the shared counts as a sparse matrix over read-only memory maps, shape (documents, words)."""
    import numpy as np
    from scipy.sparse import csr_matrix

    parts = [np.load(f"{folder}/{name}.npy", mmap_mode="r").view(np.ndarray) for name in ("data", "indices", "indptr")]
    words = json.loads(Path(folder, "words.json").read_text())
    return csr_matrix(tuple(parts), shape=(len(parts[2]) - 1, len(words)))


def fold_matrices(counts: Any, train: NDArray[np.intp], test: NDArray[np.intp], view: View) -> tuple[Any, Any]:
    """Return a fold's training and validation matrices, as the vectoriser fitted on the training texts gives them.

    Args:
        counts: The shared counts, shape (documents, words), words in sorted order.
        train: Training rows, in the order in which they are fitted.
        test: Validation rows.
        view: The cuts and weights.

    Returns:
        Two sparse matrices with the columns of the training rows' vocabulary after the cuts.

    Raises:
        ValueError: no word is left; the message is scikit-learn's.

    Source: scikit-learn 1.9, ``CountVectorizer.fit_transform`` and ``TfidfTransformer``.
    """
    import numpy as np

    dtype = np.float64 if view.kind == "tfidf" else np.int64
    train_counts = counts[train]
    if train_counts.nnz == 0:
        raise ValueError("empty vocabulary; perhaps the documents only contain stop words")
    fitted, columns = _keep_columns(_order_rows(train_counts), np.flatnonzero(np.bincount(train_counts.indices)), dtype)
    kept = _cut(fitted, dict(view.cuts))
    if len(kept) < fitted.shape[1]:
        fitted = fitted[:, kept]
        columns = columns[kept]
    seen, _ = _keep_columns(counts[test], columns, dtype)
    seen.sort_indices()
    if view.kind == "count":
        return fitted, seen
    from sklearn.feature_extraction.text import TfidfTransformer

    weigh = TfidfTransformer(**dict(view.weights)).fit(fitted)
    return weigh.transform(fitted, copy=False), weigh.transform(seen, copy=False)


def _order_rows(counts: Any) -> Any:
    """Order the words inside each row by their first use in the training rows, as a vectoriser numbers new words."""
    import numpy as np
    from scipy.sparse import csr_matrix

    stream = counts.indices
    first_use = np.empty(counts.shape[1], dtype=stream.dtype)
    # Written backwards, so that the first use of a word is what stays.
    first_use[stream[::-1]] = np.arange(len(stream) - 1, -1, -1, dtype=stream.dtype)
    ordered = csr_matrix(
        (counts.data, first_use[stream], counts.indptr), shape=(counts.shape[0], len(stream)), copy=True
    )
    ordered.has_sorted_indices = False
    ordered.sort_indices()
    return csr_matrix((ordered.data, stream[ordered.indices], ordered.indptr), shape=counts.shape)


def _keep_columns(counts: Any, columns: NDArray[Any], dtype: Any) -> tuple[Any, NDArray[Any]]:
    """Return the matrix with these columns only, numbered anew; the order inside a row stays."""
    import numpy as np
    from scipy.sparse import csr_matrix

    renumber = np.full(counts.shape[1], -1, dtype=np.int32)
    renumber[columns] = np.arange(len(columns), dtype=np.int32)
    indices = renumber[counts.indices]
    keep = indices >= 0
    kept_before = np.concatenate([[0], np.cumsum(keep)])
    indptr = kept_before[counts.indptr].astype(np.int32)
    data = counts.data[keep].astype(dtype)
    return csr_matrix((data, indices[keep], indptr), shape=(counts.shape[0], len(columns))), columns


def _cut(counts: Any, cuts: dict[str, Any]) -> NDArray[np.intp]:
    """Return the columns that stay after the cuts by document frequency and by the number of features."""
    import numpy as np

    documents = counts.shape[0]
    high, low, limit = cuts["max_df"], cuts["min_df"], cuts["max_features"]
    most = high if isinstance(high, int) else high * documents
    least = low if isinstance(low, int) else low * documents
    if most < least:
        raise ValueError("max_df corresponds to < documents than min_df")
    frequencies = np.bincount(counts.indices, minlength=counts.shape[1])
    mask = (frequencies <= most) & (frequencies >= least)
    if limit is not None and mask.sum() > limit:
        totals = np.asarray(counts.sum(axis=0)).ravel()
        # The same unstable sort on the same type of number as scikit-learn's: ties must fall alike.
        chosen = np.flatnonzero(mask)[(-totals[mask]).argsort()[:limit]]
        mask = np.zeros_like(mask)
        mask[chosen] = True
    kept = np.flatnonzero(mask)
    if len(kept) == 0:
        raise ValueError("After pruning, no terms remain. Try a lower min_df or a higher max_df.")
    return kept
