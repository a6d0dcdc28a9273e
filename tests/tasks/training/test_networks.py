"""What networks.py changes of Keras: seeds, the computation of Muon's update, the precision of the hidden layers."""

import dataclasses
import random

import numpy as np
import pytest

from schemas.networks import NETWORKS
from schemas.recipe import Overrides
from tasks.training import networks


def test_random_numbers_of_other_threads_do_not_change_initial_weights(monkeypatch):
    recipe = Overrides().applied_to("fast")
    expected = networks.build_network(recipe).get_weights()

    def disturbed(layers):
        random.random()  # noqa: S311, as another thread would meanwhile
        return mlp.layers(layers)

    mlp = NETWORKS["mlp"]
    monkeypatch.setitem(NETWORKS, "mlp", dataclasses.replace(mlp, layers=disturbed))
    for weight, other in zip(expected, networks.build_network(recipe).get_weights(), strict=True):
        np.testing.assert_array_equal(weight, other)


@pytest.mark.parametrize(
    ("shape", "size"),
    [((784, 128), 1.0), ((64, 128), 1.0), ((128, 128), 1e-3), ((784, 128), 0.0), ((64, 128), 0.0)],
    ids=["tall", "wide", "square", "tall zeros", "wide zeros"],
)
def test_muon_makes_the_same_update_as_that_of_keras(shape, size):
    import keras

    random = np.random.default_rng(0)
    start, *gradients = random.normal(size=(3, *shape)).astype(np.float32) * np.float32([1, size, size])[:, None, None]
    updates = []
    for muon in (keras.optimizers.Muon, networks.GramMuon):
        weights = keras.Variable(start)
        optimizer = muon(0.01, ns_steps=networks.MUON_STEPS)
        for gradient in gradients:  # the second one is added to the momentum of the first
            optimizer.apply([keras.ops.convert_to_tensor(gradient)], [weights])
        updates.append(np.asarray(weights) - start)
    np.testing.assert_allclose(updates[1], updates[0], atol=1e-5)
    assert (np.abs(updates[0]).max() > 0.005) == (size > 0)


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_only_the_hidden_layers_compute_with_another_precision(precision):
    network = networks.build_network(Overrides(network="cnn").applied_to("fast"))
    images = np.random.default_rng(0).integers(0, 256, (4, 28, 28)).astype(np.float32)
    expected = np.asarray(network(images))
    with networks.hidden_layers_in(network, precision):
        probabilities = network(images)
        assert {layer.compute_dtype for layer in network.layers[1:-1]} == {precision}
        assert {str(weight.dtype) for weight in network.weights} == {"float32"}
    assert probabilities.dtype == "float32"
    difference = np.abs(probabilities - expected).max()
    assert difference == 0 if precision == "float32" else 0 < difference < 0.02
    np.testing.assert_array_equal(network(images), expected, "the saved network is one of float32")
