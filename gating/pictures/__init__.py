"""Images of characters: printed in many typefaces, or read from a folder such as that of Omniglot."""
