from dataclasses import replace

import numpy as np
import pytest

from skerry.errors import DataError, SpecError
from skerry.learn.federated.models import paper_cnn
from skerry.learn.federated.models.network import LAYOUT, Network, drop
from skerry.learn.federated.models.paper_cnn import Training

ONCE = Training(epochs=1, learning_rate=0.1, momentum=0.0, batch=16, dropout=False)
ONCE_MORE = Training(epochs=3, learning_rate=0.01)


def made_images(count=16, seed=0):
    random = np.random.default_rng(seed)
    labels = random.integers(0, 10, count)
    images = random.integers(0, 60, (count, 28, 28), dtype=np.uint8)
    for image, label in zip(images, labels, strict=True):
        image[2 * label : 2 * label + 6, 4:20] += 180
    return images, labels


def gradient_of(images, labels, parameters):
    trained = paper_cnn.fit(parameters, images, labels, replace(ONCE, batch=len(images)))
    return {name: (parameters[name] - array) / 0.1 for name, array in trained.parameters.items()}


def test_it_has_the_parameters_of_the_paper():
    assert LAYOUT.size == 317_066
    assert sum(array.size for array in paper_cnn.start(0).values()) == 317_066


def test_training_learns_and_is_the_same_to_the_bit_when_repeated():
    images, labels = made_images(60)
    training = Training(epochs=6, learning_rate=0.02, seed=3)
    first = paper_cnn.fit(paper_cnn.start(1), images, labels, training)
    again = paper_cnn.fit(paper_cnn.start(1), images, labels, training)
    assert first.steps == 6 * 2
    assert LAYOUT.join(first.parameters).tobytes() == LAYOUT.join(again.parameters).tobytes()
    accuracy, loss = paper_cnn.evaluate(first.parameters, images, labels)
    assert accuracy > 0.9
    assert loss < 0.5
    other = paper_cnn.fit(paper_cnn.start(1), images, labels, replace(training, seed=4))
    assert LAYOUT.join(first.parameters).tobytes() != LAYOUT.join(other.parameters).tobytes()


def test_training_leaves_what_it_was_given_alone():
    images, labels = made_images()
    parameters = paper_cnn.start(0)
    before = LAYOUT.join(parameters)
    paper_cnn.fit(parameters, images, labels, Training())
    assert np.array_equal(LAYOUT.join(parameters), before)


def test_the_gradient_is_what_finite_differences_say():
    images, labels = made_images()
    parameters = paper_cnn.start(0)
    gradient = gradient_of(images, labels, parameters)
    random = np.random.default_rng(1)
    for name, array in parameters.items():
        direction = np.sign(gradient[name]) * random.uniform(0.5, 1, array.shape)
        step = 2e-3 / np.abs(direction).sum() ** 0.5
        losses = []
        for sign in (1, -1):
            moved = {**parameters, name: (array + sign * step * direction).astype(np.float32)}
            losses.append(paper_cnn.evaluate(moved, images, labels)[1])
        expected = float((gradient[name].astype(np.float64) * direction).sum())
        assert (losses[0] - losses[1]) / (2 * step) == pytest.approx(expected, rel=0.02), name


def test_logits_and_gradients_are_those_of_pytorch():
    torch = pytest.importorskip("torch")
    images, labels = made_images(37)
    parameters = paper_cnn.start(2)
    parameters["conv1.bias"] += 0.05
    parameters["dense1.bias"] -= 0.02
    tensors = {name: torch.from_numpy(array.copy()).requires_grad_() for name, array in parameters.items()}
    pixels = (torch.from_numpy(images.astype(np.float32))[:, None] - 0.1307 * 255) / (0.3081 * 255)
    functional = torch.nn.functional

    def layer(values, name):
        return functional.max_pool2d(functional.relu(functional.conv2d(values, *of(name))), 2)

    def of(name):
        return tensors[f"{name}.weight"], tensors[f"{name}.bias"]

    flat = layer(layer(pixels, "conv1"), "conv2").flatten(1)
    logits = functional.linear(functional.relu(functional.linear(flat, *of("dense1"))), *of("dense2"))
    functional.cross_entropy(logits, torch.from_numpy(labels)).backward()
    ours = Network(LAYOUT.join(parameters), 40).forward(images)
    assert np.abs(ours.T - logits.detach().numpy()).max() < 1e-4
    for name, gradient in gradient_of(images, labels, parameters).items():
        expected = tensors[name].grad.numpy()
        assert np.abs(gradient - expected).max() < 1e-3 * np.abs(expected).max() + 1e-6, name


def test_a_last_batch_that_is_not_full_counts_only_its_own_images():
    images, _ = made_images(20)
    parameters = paper_cnn.start(0)
    full, alone = Network(LAYOUT.join(parameters), 20), Network(LAYOUT.join(parameters), 32)
    slope = np.random.default_rng(0).normal(size=(10, 20)).astype(np.float32)
    for network in (full, alone):
        network.forward(np.concatenate([images, images])[: 32 if network is alone else 20])
        network.forward(images)
        network.backward(slope)
    assert np.allclose(full.gradient, alone.gradient, rtol=1e-4, atol=1e-5)


def test_a_quarter_is_dropped_and_the_mean_stays():
    values = np.ones((100, 1001), np.float32)
    drop(values, np.random.default_rng(0))
    assert np.mean(values == 0) == pytest.approx(0.25, abs=0.01)
    assert values.mean() == pytest.approx(1, abs=0.01)


def test_what_was_dropped_has_no_part_in_the_gradient():
    images, _ = made_images(32)
    parameters = paper_cnn.start(0)
    slope = np.random.default_rng(0).normal(size=(10, 32)).astype(np.float32)
    network = Network(LAYOUT.join(parameters), 32)
    plain = network.forward(images)
    dropped = network.forward(images, np.random.default_rng(5))
    assert not np.allclose(plain, dropped)
    network.backward(slope)
    for name, gradient in LAYOUT.split(network.gradient).items():
        direction = np.sign(gradient) * 1e-3 / gradient.size**0.5
        sums = []
        for sign in (1, -1):
            moved = {**parameters, name: (parameters[name] + sign * direction).astype(np.float32)}
            logits = Network(LAYOUT.join(moved), 32).forward(images, np.random.default_rng(5))
            sums.append(float((logits.astype(np.float64) * slope).sum()))
        assert (sums[0] - sums[1]) / 2 == pytest.approx(float((gradient * direction).sum()), rel=0.05), name


def test_proximal_training_stays_nearer_to_where_it_began():
    images, labels = made_images(60)
    begin = LAYOUT.join(paper_cnn.start(0))
    far, near = (
        np.linalg.norm(LAYOUT.join(paper_cnn.fit(LAYOUT.split(begin), images, labels, training).parameters) - begin)
        for training in (Training(epochs=3, learning_rate=0.01), Training(epochs=3, learning_rate=0.01, proximal=20.0))
    )
    assert near < 0.8 * far


def test_a_correction_is_added_to_every_gradient():
    images, labels = made_images()
    parameters = paper_cnn.start(0)
    correction = {name: np.full_like(array, 0.01) for name, array in parameters.items()}
    plain = paper_cnn.fit(parameters, images, labels, ONCE)
    corrected = paper_cnn.fit(parameters, images, labels, replace(ONCE, correction=correction))
    difference = LAYOUT.join(plain.parameters) - LAYOUT.join(corrected.parameters)
    assert np.allclose(difference, 0.1 * 0.01, atol=1e-6)


def test_probabilities_add_up_and_say_what_evaluation_counts():
    images, labels = made_images(50)
    parameters = paper_cnn.start(5)
    probabilities = paper_cnn.predict(parameters, images)
    assert probabilities.shape == (50, 10)
    assert np.allclose(probabilities.sum(axis=1), 1)
    accuracy, loss = paper_cnn.evaluate(parameters, images, labels)
    assert accuracy == np.mean(probabilities.argmax(axis=1) == labels)
    assert loss == pytest.approx(-np.log(probabilities[np.arange(50), labels]).mean(), rel=1e-4)


@pytest.mark.parametrize(
    ("images", "labels", "said"),
    [
        (np.zeros((3, 28, 28), np.float32), np.zeros(3, int), "images are float32"),
        (np.zeros((3, 28, 29), np.uint8), np.zeros(3, int), r"images are uint8 \(3, 28, 29\)"),
        (np.zeros((0, 28, 28), np.uint8), np.zeros(0, int), "at least one"),
        (np.zeros((3, 28, 28), np.uint8), np.zeros(2, int), r"labels are int64 \(2,\)"),
        (np.zeros((3, 28, 28), np.uint8), np.zeros(3), "labels are float64"),
        (np.zeros((3, 28, 28), np.uint8), np.array([0, 1, 10]), "labels go from 0 to 10"),
    ],
)
def test_other_shapes_and_types_are_refused(images, labels, said):
    for work in (paper_cnn.evaluate, lambda *given: paper_cnn.fit(*given, Training())):
        with pytest.raises(DataError, match=said):
            work(paper_cnn.start(0), images, labels)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("epochs", 0),
        ("learning_rate", 0.0),
        ("learning_rate", float("nan")),
        ("momentum", 1.0),
        ("batch", 0),
        ("proximal", -1.0),
    ],
)
def test_settings_out_of_range_are_refused_by_name(name, value):
    with pytest.raises(SpecError, match=f"{name} is {value!r}; expected") as refused:
        Training(**{name: value})
    assert refused.value.details["field"] == name
