"""From the result table to plots and one page; nothing here needs a model, torch, or the name of a study."""
