import mmap
import re
import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.feature_extraction.text import CountVectorizer, TfidfVectorizer

from skerry.learn.search.dataset import share_texts
from skerry.learn.search.text import fold_matrices, open_counts, share_counts, view_of

LETTERS = st.text(alphabet="abcd ABCÉß1_-\u2019'\n", max_size=60)
CORPUS = st.lists(LETTERS, min_size=4, max_size=12)


def matrices(texts, vectorizer, train, test, root):
    # One more text than the drawn ones makes sure that a data set can be shared at all.
    labels = [row % 2 for row in range(len(texts))]
    data = share_texts(texts, labels, root=root, blank="keep")
    view = view_of(vectorizer)
    counts = open_counts(str(share_counts(data, view.analysis)))
    return fold_matrices(counts, np.array(train), np.array(test), view)


def assert_same_matrix(ours, theirs):
    assert ours.shape == theirs.shape
    assert ours.dtype == theirs.dtype
    assert type(ours) is type(theirs)
    for part in ("data", "indices", "indptr"):
        assert np.array_equal(getattr(ours, part), getattr(theirs, part)), part
        assert getattr(ours, part).dtype == getattr(theirs, part).dtype, part


def assert_same_fold(texts, make, train, test, root):
    vectorizer = make()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            expected = vectorizer.fit_transform([texts[row] for row in train])
        except ValueError as error:
            with pytest.raises(ValueError, match=f"^{re.escape(str(error))}$"):
                matrices(texts, make(), train, test, root)
            return
        ours = matrices(texts, make(), train, test, root)
    assert_same_matrix(ours[0], expected)
    assert_same_matrix(ours[1], vectorizer.transform([texts[row] for row in test]))


@settings(max_examples=60, deadline=None)
@given(texts=CORPUS, cut=st.integers(1, 3), data=st.data())
def test_any_corpus_gives_the_matrices_of_the_fitted_vectorizer(texts, cut, data, tmp_path_factory):
    texts = [text or " " for text in texts]
    order = data.draw(st.permutations(range(len(texts))))
    assert_same_fold(texts, TfidfVectorizer, order[cut:], order[:cut], tmp_path_factory.mktemp("data"))


@settings(max_examples=60, deadline=None)
@given(
    texts=CORPUS,
    min_df=st.sampled_from([1, 2, 0.2]),
    max_df=st.sampled_from([1.0, 0.8, 3]),
    max_features=st.sampled_from([None, 1, 3]),
    sublinear_tf=st.booleans(),
    norm=st.sampled_from(["l1", "l2", None]),
    use_idf=st.booleans(),
)
def test_cuts_and_weights_follow_the_training_texts_alone(texts, tmp_path_factory, **parameters):
    texts = [text or " " for text in texts]
    rows = list(range(len(texts)))
    root = tmp_path_factory.mktemp("data")
    assert_same_fold(texts, lambda: TfidfVectorizer(**parameters), rows[1::2] + rows[2::4], rows[::4], root)


@pytest.mark.parametrize(
    "make",
    [
        lambda: TfidfVectorizer(stop_words="english"),
        lambda: TfidfVectorizer(stop_words=["tide", "rock"], lowercase=False),
        lambda: TfidfVectorizer(ngram_range=(1, 2), min_df=2),
        lambda: TfidfVectorizer(analyzer="char_wb", ngram_range=(2, 3), max_features=20),
        lambda: TfidfVectorizer(strip_accents="unicode", token_pattern=r"\w+"),
        lambda: CountVectorizer(stop_words="english", max_features=7),
    ],
)
def test_ways_of_counting_equal_scikit_learn(make, corpus, tmp_path):
    texts, _ = corpus
    assert_same_fold(texts, make, list(range(0, 40, 2)), list(range(1, 40, 2)), tmp_path)


def test_a_word_of_the_validation_rows_alone_has_no_column(tmp_path):
    texts = ["common words here", "common words there", "secret validation word"]
    train, test = matrices(texts, TfidfVectorizer(), [0, 1], [2], tmp_path)
    assert train.shape[1] == len(TfidfVectorizer().fit(texts[:2]).vocabulary_)
    assert test.nnz == 0


@pytest.mark.parametrize(
    "vectorizer",
    [
        TfidfVectorizer(binary=True),
        TfidfVectorizer(vocabulary=["tide"]),
        TfidfVectorizer(tokenizer=str.split, token_pattern=None),
        TfidfVectorizer(dtype=np.float32),
        TfidfVectorizer(analyzer=str.split),
        object(),
    ],
)
def test_what_shared_counts_cannot_stand_for_has_no_view(vectorizer):
    assert view_of(vectorizer) is None


def test_counts_are_shared_read_only(text_data):
    counts = open_counts(str(share_counts(text_data, view_of(TfidfVectorizer()).analysis)))
    assert not counts.data.flags.writeable
    for part in (counts.data, counts.indices, counts.indptr):
        owner = part
        while isinstance(owner, np.ndarray):
            owner = owner.base
        assert isinstance(owner, mmap.mmap)
