"""How each toolkit loads a model and translates with it, a module a toolkit; its class `Loaded` is a `Toolkit`."""
