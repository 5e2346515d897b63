"""What checks of one topic share: how something is provoked, set up or observed. Checks themselves are elsewhere."""
