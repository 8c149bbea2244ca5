"""Tests that kill, cut and fill."""
