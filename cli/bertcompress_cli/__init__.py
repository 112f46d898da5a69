"""The command ``bertcompress``: one module a subcommand, no logic beyond options and calls.

main.py             the console script: all subcommands, exit codes, one sentence an error
options.py          options that several subcommands have
data_source.py      where examples come from, and which of them a step gets
recipe.py           steps by name, the recipe and its passes
recipe_file.py      recipes as YAML, there and back
apply_steps.py      model and steps in, artifact folder out: what every verb does
run_recipe.py       all variants of a recipe, the benchmark and the gate
place.py            what a verb works on: its arguments, or else the workspace
"""
