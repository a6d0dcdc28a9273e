"""A PyTorch loop as its quickstart writes it: `DataLoader` in batches of 64, `zero_grad`, `backward`, `step`."""

from __future__ import annotations

import json

import torch
from timing import QUICK_EPOCHS, EpochTimer, flag_parser, load_digits
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

EPOCHS = 10


def main() -> None:
    """Train and print the metrics."""
    options = flag_parser(__doc__).parse_args()
    torch.manual_seed(options.seed)
    digits = load_digits()
    x_train, x_test = (torch.from_numpy(images).float() / 255 for images in (digits.x_train, digits.x_test))
    y_train, y_test = (torch.from_numpy(labels).long() for labels in (digits.y_train, digits.y_test))
    train_loader = DataLoader(TensorDataset(x_train, y_train), batch_size=64, shuffle=True)
    test_loader = DataLoader(TensorDataset(x_test, y_test), batch_size=1000)

    timer = EpochTimer()
    model = nn.Sequential(
        nn.Flatten(), nn.Linear(784, 128), nn.ReLU(), nn.Linear(128, 64), nn.ReLU(), nn.Linear(64, 10)
    )
    loss_function = nn.CrossEntropyLoss()
    optimizer = torch.optim.Adam(model.parameters())
    for _ in range(QUICK_EPOCHS if options.quick else EPOCHS):
        model.train()
        for images, labels in train_loader:
            optimizer.zero_grad()
            loss = loss_function(model(images), labels)
            loss.backward()
            optimizer.step()
        timer.end_epoch(lambda: accuracy(model, test_loader))
    print(json.dumps(timer.to_dict() | {"libraries": {"torch": torch.__version__}}))


def accuracy(model: nn.Module, loader: DataLoader[tuple[torch.Tensor, ...]]) -> float:
    """Return the share of rows that are classified correctly."""
    model.eval()
    with torch.no_grad():
        correct = sum(int((model(images).argmax(1) == labels).sum()) for images, labels in loader)
    return correct / sum(len(labels) for _, labels in loader)


if __name__ == "__main__":
    main()
