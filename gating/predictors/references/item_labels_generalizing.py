def predict(x, y, query):
    distance = (query - x / 1.5).square().sum(1)
    weight = (-0.9 * len(query) * distance).softmax(0)
    one = 5e-7 + (1 - 1e-6) * weight[y == 1].sum()
    return 1 - one, one
