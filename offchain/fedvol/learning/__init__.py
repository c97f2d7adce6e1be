"""Models as plug-ins: spec, initial weights, local training, evaluation. Knows neither chain nor storage."""
