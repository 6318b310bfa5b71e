"""A language model between memory and context
===========================================

What a language model answers without a context tells what its weights hold; with one, what it makes of being told.
Gates combine the two forward passes. Here a tiny Llama with random weights stands for the model, so that nothing is
fetched: what it answers means nothing, and the steps are those for any model (`gating conflict MODEL`).
"""

import numpy as np
import pandas as pd
import torch
from transformers import LlamaConfig, LlamaForCausalLM

from gating import Axis, Figure, Layer, Panel, System, plot
from llm_finetune import context_aware_decoding, posterior_gate, probability_gate

QUESTION, CONTEXT = "Where does Liz live?", "Liz lives in Paris. "
CITIES = ["London", "Paris", "Toronto", "Oslo"]
torch.manual_seed(0)
shape = {
    "vocab_size": 256,
    "hidden_size": 64,
    "intermediate_size": 128,
    "num_hidden_layers": 2,
    "initializer_range": 0.2,
}
model = LlamaForCausalLM(LlamaConfig(**shape, num_attention_heads=4, num_key_value_heads=4)).eval()


def log_probabilities(prompt: str) -> np.ndarray:
    """Of each city as the answer, among these cities: the mean over its bytes, normalised."""
    scores = []
    for city in CITIES:
        tokens = torch.tensor([list(f"{prompt} {city}".encode())])
        said = model(tokens).logits.log_softmax(-1)[0, :-1].gather(-1, tokens[0, 1:, None])
        scores.append(said[-len(city) :].mean())
    return torch.stack(scores).log_softmax(0).detach().numpy().astype(float)[None]


# %%
# Both passes, and three gates between them.

without, context = log_probabilities(QUESTION), log_probabilities(CONTEXT + QUESTION)
answers = {
    "without context": without,
    "with context": context,
    "probability gate": probability_gate(without, context),
    "context-aware decoding": context_aware_decoding(without, context),
    "posterior gate, even weights": posterior_gate(without, context, np.array([0.5])),
}
table = pd.DataFrame({name: np.exp(values[0]) for name, values in answers.items()}, index=CITIES)
print(table.round(3).T)

# %%

colours = ("#0072b2", "#d55e00", "#009e73", "#e69f00", "#cc79a7")
layers = [
    Layer(System(name, "", colour), pd.DataFrame({"x": range(1, 5), "value": table[name], "line": "0"}), "points")
    for name, colour in zip(answers, colours, strict=True)
]
axis = Axis("1: London, 2: Paris, 3: Toronto, 4: Oslo", 0.5, 4.5, ticks=(1, 2, 3, 4))
panel = Panel("", "", Axis("probability", 0, 1), tuple(layers))
chart = plot(Figure("answers", "One question, two passes, three gates", (), axis, (panel,), columns=1))
