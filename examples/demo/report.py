from pathlib import Path
def write_report(outcome, path, *, took_s):
    return path
