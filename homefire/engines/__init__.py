"""Engines: how to speak to something that runs a model.

Doors: `engine.Engine` (the socket), `engine.EngineSpec`, `llamacpp.LlamaCpp`, `null.Null`; servers that are not our
children: `remote.Remote`, `ollama.Ollama`; `capabilities` (what each kind honours), `breaker.Breaker`.
Promises: an engine never runs native model code inside the daemon; what it answers comes as typed events or, byte by byte, in
OpenAI's form; when the far side dies, the reader gets EngineDied and never a silence.
Does not cover: which engine is in memory (`residency/`).
This file imports nothing: the model's child has to start without loading the daemon's side.
"""
