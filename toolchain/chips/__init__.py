"""One room a chip family, the same names in each; imported late, so that none pays for another."""
