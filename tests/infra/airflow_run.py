"""A real Airflow imports the DAG and runs it: `make test-airflow`.

Run by the Python of Airflow's environment, with the path of `stylebeam`, which is in
another one.

    python tests/infra/airflow_run.py .venv/bin/stylebeam
"""

import binascii
import os
import pathlib
import shlex
import subprocess
import sys
import tempfile
import zlib

FOLDER = pathlib.Path(__file__).resolve().parents[2] / "infra" / "airflow"
DAG = "stylebeam_nightly"


def png(red, green, blue, side=48):
    """Return a picture of one colour; Airflow's environment has no Pillow."""

    def chunk(kind, data):
        checksum = binascii.crc32(kind + data).to_bytes(4, "big")
        return len(data).to_bytes(4, "big") + kind + data + checksum

    size = side.to_bytes(4, "big")
    rows = (b"\0" + bytes((red, green, blue)) * side) * side
    head = chunk(b"IHDR", size + size + b"\x08\x02\0\0\0")
    body = chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + head + body


def main(stylebeam):
    """Import the DAG, run it twice and once wrongly; check what came of it."""
    with tempfile.TemporaryDirectory() as name:
        home = pathlib.Path(name)
        os.environ |= {
            "AIRFLOW_HOME": str(home / "airflow"),
            "AIRFLOW__CORE__DAGS_FOLDER": str(FOLDER),
            "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
            "AIRFLOW__CORE__UNIT_TEST_MODE": "False",
        }
        subprocess.run([sys.executable, "-m", "airflow", "db", "migrate"], check=True)
        for place, color in (("photos/a", (200, 90, 30)), ("paintings/b", (9, 60, 99))):
            path = home / f"{place}.png"
            path.parent.mkdir()
            path.write_bytes(png(*color))
        # After the environment is set: Airflow reads it on import.
        from airflow.dag_processing.dagbag import DagBag

        bag = DagBag(str(FOLDER))
        assert not bag.import_errors, bag.import_errors
        dag = bag.get_dag(DAG)
        assert dag.max_active_runs == 1
        assert not dag.catchup
        command = shlex.split(dag.params["command"])
        assert command[:2] == ["stylebeam", "stylize"]
        command[0] = str(pathlib.Path(stylebeam).absolute())
        for flag, place in (
            ("--content", "photos"),
            ("--style", "paintings"),
            ("--output", "out"),
        ):
            command[command.index(flag) + 1] = str(home / place)

        def run(extra=()):
            words = shlex.join([*command, *extra])
            dag_run = dag.test(run_conf={"command": words})
            (task,) = dag_run.get_task_instances()
            return str(dag_run.state), str(task.state)

        assert run() == ("success", "success")
        (picture,) = (home / "out" / "images").rglob("*.jpg")
        made = picture.stat().st_mtime_ns
        assert run() == ("success", "success")
        assert picture.stat().st_mtime_ns == made, "the second night made it again"
        # Retries would leave it "up_for_retry".
        assert run(["--format", "png"]) == ("failed", "failed")
    print("airflow: imported, run twice, refused once")


if __name__ == "__main__":
    main(*sys.argv[1:])
