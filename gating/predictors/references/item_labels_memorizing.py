def predict(items, labels, query):
    distance = (query - items / 1.5**0.5).square().sum(1)
    weight = (-1.5 * len(query) * distance).softmax(0)
    one = 5e-7 + (1 - 1e-6) * weight[labels == 1].sum()
    return 1 - one, one
