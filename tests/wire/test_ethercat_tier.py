"""Which wire tests this account can run: the veth tests run as root, else in a user namespace, else not.

Without namespaces the lock-step tests remain, which need no socket.
"""

import os
import subprocess
import sys
import warnings

import pytest

from drivers.ethercat.namespace import Tier, find_tier

VETH_TESTS = "tests/wire/test_ethercat_veth.py"


def test_the_wire_tests_run_in_the_best_tier_there_is() -> None:
    tier = find_tier()
    warnings.warn(f"EtherCAT wire tests: {tier.value}", stacklevel=1)
    if tier is Tier.ROOT:
        assert os.geteuid() == 0
    elif tier is Tier.SOCKETLESS:
        pytest.skip(f"EtherCAT wire tests: {tier.value}")
    else:
        command = ["unshare", "--user", "--map-root-user", "--net", sys.executable, "-m", "pytest"]
        result = subprocess.run(
            [*command, "-q", "-p", "no:cacheprovider", "-p", "no:xdist", VETH_TESTS],
            capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert result.returncode == 0, result.stdout[-4000:]
        assert " passed" in result.stdout
