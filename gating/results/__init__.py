"""What a study's rows amount to: the interval of a mean, and the bootstrap over seeds or runs."""
