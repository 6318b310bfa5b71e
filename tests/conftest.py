"""Settings of the whole suite."""

import torch

torch.set_num_threads(1)  # the arithmetic of every test is that of one core, however many the machine has
