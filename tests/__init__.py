"""Tests, sorted by what they need: null, contract, process, browser, chaos, gpu."""
