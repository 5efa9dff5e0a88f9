"""YAML by the letter of npm's `yaml` 2.x, in three steps: lexing, grammar, composing. For all that libyaml may see otherwise."""
