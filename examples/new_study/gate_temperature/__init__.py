"""The study `temperature`, in a package of its own."""
