"""Tests that need nothing: no child process, no network, no model; all of them together take seconds."""
