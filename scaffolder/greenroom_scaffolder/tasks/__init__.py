"""A task -> events: plan a step purely, run its action, write down what came of it."""
