import torch


def predict(x, y, query):
    noise = torch.eye(len(query)) * len(query) / 256
    return query @ torch.linalg.solve(x.T @ x + noise, x.T @ y)
