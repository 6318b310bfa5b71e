"""A study of somebody else, in a package of its own that this project does not know."""
