def predict(weights, x, y, query):
    error = (y - weights @ x.T).square().sum(1)
    return (-128 / len(query) * error).softmax(0) @ weights @ query
