"""An MES in sixty lines: load a job of five cells, start it, follow it, collect and acknowledge its results.

python docs/mes_five_cells.py opc.tcp://127.0.0.1:4840/ USER PASSWORD CERTIFICATE.der KEY.pem [RECIPE]
"""

import asyncio  # ruff: noqa: T201
import json
import sys
from pathlib import Path

from asyncua import Client, ua
from asyncua.crypto.security_policies import SecurityPolicyAes256Sha256RsaPss
from cryptography import x509

CELLS = 5


async def main(url, user, password, certificate, key, recipe="reference"):
    client = Client(url, timeout=20)
    names = x509.load_der_x509_certificate(Path(certificate).read_bytes()).extensions
    san = names.get_extension_for_class(x509.SubjectAlternativeName).value
    client.application_uri = san.get_values_for_type(x509.UniformResourceIdentifier)[0]
    await client.set_security(SecurityPolicyAes256Sha256RsaPss, certificate, key)  # sign and encrypt
    client.set_user(user)
    client.set_password(password)
    async with client:
        await client.load_data_type_definitions()
        own = await client.get_namespace_index("urn:foldline:machine")

        def node(path):
            return client.get_node(ua.NodeId(f"Machine.{path}", own))

        async def call(path, method, *inputs):
            return await node(path).call_method(node(f"{path}.{method}").nodeid, *inputs)

        job = f"job-{int(asyncio.get_running_loop().time())}"
        master = ua.ISA95WorkMasterDataType(ID=recipe)
        quantity = ua.ISA95ParameterDataType(ID="Quantity", Value=ua.Variant(CELLS, ua.VariantType.Int32))
        order = ua.ISA95JobOrderDataType(JobOrderID=job, WorkMasterID=[master], JobOrderParameters=[quantity])
        comment = ua.Variant([], ua.VariantType.LocalizedText, is_array=True)
        status = await call("JobManagement.JobOrderControl", "StoreAndStart", order, comment)
        assert status == 1, f"the job was refused: {status:#x}"
        collected = []
        while len([each for each in collected if each["verdict"] == "GOOD"]) < CELLS:
            await asyncio.sleep(0.2)
            state = await node("JobManagement.JobOrderControl.JobOrderList").read_value()
            print([each.State[0].StateText.Text for each in state if each.JobOrder.JobOrderID == job])
            every = (ua.ContentFilter(), ua.Variant([], ua.VariantType.ExtensionObject, is_array=True))
            last = (ua.Variant(100, ua.VariantType.UInt32), ua.Variant(0, ua.VariantType.Int32))
            ids = (await call("ResultManagement", "GetResultIdListFiltered", *every, *last))[1]
            for result_id in ids:
                _, result, _ = await call("ResultManagement", "GetResultById", result_id, last[1])
                if result.ResultMetaData.JobId == job:
                    collected.append(json.loads(result.ResultContent[0].Value))
                    await call("ResultManagement", "AcknowledgeResults", ua.Variant([result_id]))
        print(f"{job}: {len(collected)} results collected and acknowledged")


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
