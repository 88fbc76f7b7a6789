"""The MES script of the documentation, run as an integrator would run it."""

import asyncio
import sys
from pathlib import Path

from controller.gateway.opcua.users import Role
from controller.shared.packml import State
from tests.wire.opcua_bench import PASSWORDS, ROOT, TIMEOUT_S, Bench

SCRIPT = ROOT / "docs/mes_five_cells.py"


def test_it_is_as_short_as_it_says() -> None:
    assert len(SCRIPT.read_text().splitlines()) <= 60


def test_it_loads_follows_and_collects_a_job_of_five_cells(tmp_path: Path) -> None:
    async def scene() -> None:
        bench = Bench(tmp_path)
        await bench.start()
        bench.gateway.outbox.name_plan("00" * 32, "reference")
        bench.core.set_state(State.IDLE)

        async def machine() -> None:
            made = 0
            while True:
                await asyncio.sleep(0.02)
                if bench.core.machine["state"] == State.EXECUTE:
                    bench.core.finish_cell()
                    made += 1
                    if made == bench.core.machine["cells_requested"]:
                        bench.core.set_state(State.COMPLETE)

        work = asyncio.create_task(machine())
        process = await asyncio.create_subprocess_exec(
            sys.executable, str(SCRIPT), bench.url, Role.MES.value, PASSWORDS[Role.MES],
            str(bench.certificate), str(bench.key),
            stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
        )  # fmt: skip
        output, errors = await asyncio.wait_for(process.communicate(), TIMEOUT_S)
        work.cancel()
        assert process.returncode == 0, errors.decode()[-2000:]
        assert b"5 results collected" in output
        assert bench.gateway.outbox.open_count() == 0
        assert [job.state.value for job in bench.gateway.jobs.all()] == ["Ended"]
        await bench.stop()

    asyncio.run(scene())
