import json

from pipelines import cli


def test_output_of_the_last_release_asks_for_the_bundle_of_the_paper(inputs, capsys):
    def stylize(*flags):
        argv = ["stylize", "--content", str(inputs / "contents")]
        argv += ["--style", str(inputs / "styles"), "--output", str(inputs / "out")]
        status = cli.main([*argv, *flags])
        return status, capsys.readouterr().err

    assert stylize("--bundle", "paper")[0] == 0

    status, error = stylize()
    assert status == 2
    assert "was made with bundle_id '7f81f19842b1'" in error
    assert "Use --bundle paper, another folder, or --overwrite" in error

    status, error = stylize("--bundle", "paper")
    assert status == 0
    assert "6 cells = 0 done + 6 kept + 0 failed" in error
    assert json.loads((inputs / "out" / "job.json").read_bytes())["status"] == "done"
