"""A PyTorch loop, as its quickstart writes it: `DataLoader` in batches of 64, `zero_grad`, `backward`, `step`."""

from __future__ import annotations

import argparse

import torch
from laps import Laps, load_digits, report
from torch import nn
from torch.utils.data import DataLoader, TensorDataset


def accuracy(model: nn.Module, loader: DataLoader[tuple[torch.Tensor, ...]]) -> float:
    """Give the share of rows recognised."""
    model.eval()
    correct, rows = 0, 0
    with torch.no_grad():
        for images, labels in loader:
            correct += int((model(images).argmax(1) == labels).sum())
            rows += len(labels)
    return correct / rows


def main() -> None:
    """Train and report."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--epochs", type=int, default=10)
    options = parser.parse_args()

    torch.manual_seed(options.seed)
    digits = load_digits()
    images = [torch.from_numpy(array).float() / 255 for array in (digits.x_train, digits.x_test)]
    labels = [torch.from_numpy(array).long() for array in (digits.y_train, digits.y_test)]
    train_loader = DataLoader(TensorDataset(images[0], labels[0]), batch_size=64, shuffle=True)
    test_loader = DataLoader(TensorDataset(images[1], labels[1]), batch_size=1000)

    laps = Laps()
    model = nn.Sequential(
        nn.Flatten(), nn.Linear(784, 128), nn.ReLU(), nn.Linear(128, 64), nn.ReLU(), nn.Linear(64, 10)
    )
    loss_function = nn.CrossEntropyLoss()
    optimizer = torch.optim.Adam(model.parameters())
    for _ in range(options.epochs):
        model.train()
        for batch, truth in train_loader:
            optimizer.zero_grad()
            loss = loss_function(model(batch), truth)
            loss.backward()
            optimizer.step()
        laps.epoch_done(lambda: accuracy(model, test_loader))
    report(laps, laps.accuracies[-1], {"torch": torch.__version__})


if __name__ == "__main__":
    main()
