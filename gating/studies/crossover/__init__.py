"""At how many training sequences weights overtake the context, as a function of how rare a class is."""
