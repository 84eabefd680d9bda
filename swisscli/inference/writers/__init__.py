"""How predictions are written: a writer turns them into the bytes of a format.

`cells` decides which columns there are: the results alone, or a table's own columns with the
answers behind them. The other modules each know one format.
"""
