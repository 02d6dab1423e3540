# The recipes of the project. `./just` lists them; every recipe runs in .venv.
python := ".venv/bin/python"
