# Thin on purpose: tasks.py does the work, so that machines without make have the same commands (python tasks.py run).
PYTHON ?= python3

run test lint check page proof fuzz bench clean:
	@$(PYTHON) tasks.py $@

.PHONY: run test lint check page proof fuzz bench clean
