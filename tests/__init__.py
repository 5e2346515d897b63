"""Tests, by layer; tests/requirements holds one test at least for each MUST of the catalogue."""
