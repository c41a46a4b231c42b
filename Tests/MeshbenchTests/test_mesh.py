# SPDX-License-Identifier: Apache-2.0
"""`meshbench mesh` on small meshes: Apus and Envoy serve what it makes, in either form."""

import json
import os
import subprocess

import pytest

from PythonKit import binaries


def mesh(meshbench, folder, *flags):
    environment = dict(os.environ, APUS_BINARY=binaries.require_apus(), ENVOY_BINARY=binaries.require_envoy())
    done = meshbench.command("mesh", "--json", folder / "mesh.json", "--duration", "300ms", *flags, timeout=300, env=environment)
    assert done.returncode == 0, done.stdout + done.stderr
    return done, json.loads((folder / "mesh.json").read_text())


#: So many that their memory stands out from the pages of its file that a process happens to have, which differ by 5 MB from
#: start to start.
_MANY = 2_000


@pytest.fixture(scope="module")
def measured(meshbench, tmp_path_factory):
    folder = tmp_path_factory.mktemp("mesh")
    done, report = mesh(
        meshbench, folder, "--proxy", "apus", "--proxy", "envoy", "--services", f"5,{_MANY}", "--rounds", 1,
        "--html", folder / "mesh.html",
    )
    return folder, done, report


def test_every_size_of_every_data_plane_was_measured(measured):
    _, _, report = measured
    assert [(r["proxy"], r["shape"]["services"]) for r in report["readings"]] == [
        ("apus", 5), ("envoy", 5), ("apus", _MANY), ("envoy", _MANY),
    ]
    for reading in report["readings"]:
        assert reading["failed"] == 0
        assert 0 < reading["secondsToServe"] < 60
        assert reading["cpuMicroseconds"] > 0 and reading["throughput"] > 0


def test_a_larger_mesh_takes_more_memory_and_text(measured):
    _, _, report = measured
    for proxy in ("apus", "envoy"):
        small, large = [r for r in report["readings"] if r["proxy"] == proxy]
        assert large["configurationBytes"] > 10 * small["configurationBytes"]
        assert large["idleBytes"] > small["idleBytes"]


def test_the_table_and_the_page_show_it(measured):
    folder, done, _ = measured
    assert "a service more" in done.stdout
    assert (folder / "mesh.html").read_text().count("<svg") == 4


def test_envoy_serves_the_folder_of_xds(meshbench, tmp_path):
    _, report = mesh(meshbench, tmp_path, "--proxy", "envoy", "--form", "xds", "--services", "20", "--rounds", 1)
    assert report["readings"][0]["failed"] == 0


def test_apus_takes_the_bootstrap_that_is_written(meshbench, tmp_path):
    done = meshbench.command("mesh", "--services", "3,30", "--write-only", "--folder", tmp_path)
    assert done.returncode == 0, done.stderr
    for count in (3, 30):
        checked = subprocess.run(
            [binaries.require_apus(), "--mode", "validate", "-c", str(tmp_path / str(count) / "bootstrap.json")],
            capture_output=True, text=True, timeout=60,
        )
        assert checked.returncode == 0, checked.stderr


def test_a_proxy_of_another_configuration_is_refused(meshbench):
    done = meshbench.command("mesh", "--proxy", "nginx")
    assert done.returncode == 64 and "apus and envoy" in done.stderr
