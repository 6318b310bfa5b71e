"""From the result table to charts and one page; nothing here needs a model, torch, or the name of a study."""
