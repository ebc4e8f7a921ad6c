"""Networks of torch. Importing it takes seconds, so that this is imported by what runs only."""

import torch


class Network(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.convolution = torch.nn.Conv2d(1, 4, 3, padding=1)
        self.norm = torch.nn.BatchNorm2d(4)
        self.dropout = torch.nn.Dropout(0.3)
        self.linear = torch.nn.Linear(64, 10)

    def forward(self, image):
        hidden = torch.relu(self.norm(self.convolution(image)))
        pooled = torch.nn.functional.max_pool2d(hidden, 2)
        return self.linear(self.dropout(pooled.flatten(1)))


class DependsOnValues(torch.nn.Module):
    def forward(self, rows):
        return rows if rows.sum() > 0 else rows * 2
