"""Copies of a store on other engines, made while it serves, and moves to them: through the contract alone."""

from anys3.store.moving.copying import Copy, Refused
from anys3.store.moving.report import Pass, Report

__all__ = ["Copy", "Pass", "Refused", "Report"]
