"""Which tokens are hidden: the law of training, orders, and the cosine unmasking schedule of sampling (MAR, arXiv 2406.11838).

An order is a permutation of the N positions, `(B, N)` int64. Positions at its end are revealed first, so that the first n
entries are what is still masked when n tokens are.
"""
