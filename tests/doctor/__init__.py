"""`anys3 doctor`: each finding is made to happen."""
