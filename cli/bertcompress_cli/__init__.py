"""The command ``bertcompress``: one module a subcommand, no logic beyond options and calls.

Besides the subcommands:
    main.py             the console script: prepares the process
    app.py              all subcommands, exit codes, one sentence an error
    options.py          options that several subcommands have
    place.py            what a verb works on: its arguments, or else the workspace
    data_source.py      where examples come from, and which of them a step gets
    material.py         the examples of a recipe's steps, read when they are asked for
    recipe.py           steps by name, the recipe and its passes
    recipe_file.py      recipes as YAML, there and back
    apply_steps.py      model and steps in, artifact folder out
    run_verb.py         the same for a verb: runs, saves, prints the folder
    run_recipe.py       all variants of a recipe, then the benchmark
    subject.py          a model folder opened for answering
    bench_report.py     measures, writes the report, prints table and verdict
    output.py           results on stdout, notes and tables
    progress.py         bars and lines on stderr
    quantities.py       1%, 30MB, 5ms
"""
