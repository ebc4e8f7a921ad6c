"""Names of the file and the variable that options come from."""

PROJECT_FILE = "skerry.toml"
SET_VARIABLE = "SKERRY_SET"
