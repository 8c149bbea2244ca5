"""Tests with real child processes and the pilot model."""
