"""An MES in sixty lines: load a job of five cells, start it, follow it, collect and acknowledge its results.

python docs/mes_five_cells.py opc.tcp://127.0.0.1:4840/ USER PASSWORD CERTIFICATE.der KEY.pem [RECIPE]
"""

import asyncio
import json
import sys
from pathlib import Path

from asyncua import Client, ua
from asyncua.crypto.security_policies import SecurityPolicyAes256Sha256RsaPss
from cryptography import x509

CELLS, RESULTS = 5, "JobManagement.JobOrderResults"
NO_COMMENT = ua.Variant([], ua.VariantType.LocalizedText, is_array=True)
AS_STORED = ua.Variant([], ua.VariantType.ExtensionObject, is_array=True)
AT_ONCE = ua.Variant(0, ua.VariantType.Int32)
EVERY = ua.ContentFilter(), AS_STORED, ua.Variant(100, ua.VariantType.UInt32), AT_ONCE


async def main(url, user, password, certificate, key, recipe="reference"):
    client = Client(url, timeout=20)
    extensions = x509.load_der_x509_certificate(Path(certificate).read_bytes()).extensions
    names = extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    client.application_uri = names.get_values_for_type(x509.UniformResourceIdentifier)[0]
    await client.set_security(SecurityPolicyAes256Sha256RsaPss, certificate, key)
    client.set_user(user), client.set_password(password)
    async with client:
        await client.load_data_type_definitions()
        own = await client.get_namespace_index("urn:foldline:machine")

        async def call(path, method, *inputs):
            node = client.get_node(ua.NodeId(f"Machine.{path}", own))
            return await node.call_method(ua.NodeId(f"Machine.{path}.{method}", own), *inputs)

        job = f"job-{int(asyncio.get_running_loop().time())}"
        need = [ua.ISA95ParameterDataType(ID="Quantity", Value=ua.Variant(CELLS))]
        order = ua.ISA95JobOrderDataType(JobOrderID=job, JobOrderParameters=need)
        order.WorkMasterID = [ua.ISA95WorkMasterDataType(ID=recipe)]
        status = await call("JobManagement.JobOrderControl", "StoreAndStart", order, NO_COMMENT)
        assert status == 1, f"the job was refused: {status:#x}"
        collected, state = [], ""
        while state != "Ended" or len(collected) < CELLS:
            await asyncio.sleep(0.2)
            found = await call(
                "JobManagement.JobOrderResults", "RequestJobResponseByJobOrderID", job
            )
            state = found[0].JobState[0].StateText.Text if found[0] else "waiting"
            listed = await call("ResultManagement", "GetResultIdListFiltered", *EVERY)
            for each in listed[1]:
                _, result, _ = await call("ResultManagement", "GetResultById", each, AT_ONCE)
                if result.ResultMetaData.JobId == job:
                    collected.append(json.loads(result.ResultContent[0].Value))
                    await call("ResultManagement", "AcknowledgeResults", ua.Variant([each]))
            sys.stdout.write(f"{job}: {state}, {len(collected)} results collected\n")


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
