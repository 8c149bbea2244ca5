"""Tests that every plug of a socket runs, and the HTTP interface held against its contract."""
