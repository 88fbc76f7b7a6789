"""The OPC Foundation's companion models, loaded strictly: whole or the server does not start."""

import contextlib
import gzip
import re
from collections.abc import Iterator
from functools import cache
from importlib.resources import files
from typing import Any
from xml.etree import ElementTree

from asyncua import Server, ua

NODESET = "{http://opcfoundation.org/UA/2011/03/UANodeSet.xsd}"
DI = "http://opcfoundation.org/UA/DI/"
IA = "http://opcfoundation.org/UA/IA/"
MACHINERY = "http://opcfoundation.org/UA/Machinery/"
PACKML = "http://opcfoundation.org/UA/PackML/"
RESULT = "http://opcfoundation.org/UA/Machinery/Result/"
JOBCONTROL = "http://opcfoundation.org/UA/ISA95-JOBCONTROL_V2/"
JOBS = "http://opcfoundation.org/UA/Machinery/Jobs/"

# In the order of their dependencies: (file of the bundle, namespace).
MODELS = (
    ("di", DI),
    ("ia", IA),
    ("machinery", MACHINERY),
    ("pack_ml", PACKML),
    ("machinery_result", RESULT),
    ("isa95_jobcontrol_v2", JOBCONTROL),
    ("machinery_jobs", JOBS),
)

# asyncua knows the structure, but not how to read one that stands alone, as OrderedBy of a result list.
ua.register_extension_object(
    "RelativePath",
    ua.NodeId(ua.ObjectIds.RelativePath_Encoding_DefaultBinary),
    ua.RelativePath,
    ua.NodeId(ua.ObjectIds.RelativePath),
)


async def load_companions(server: Server) -> dict[str, int]:
    """Load every model; return the namespace index by URI. RuntimeError for a partial import."""
    for name, uri in MODELS:
        root = _prepared(name)
        declared = sum(1 for each in root if each.get("NodeId"))
        text = ElementTree.tostring(root, encoding="unicode")
        with _remembered_subtypes(server.iserver.view_service):
            imported = await server.import_xml(xmlstring=text)
        if len(set(imported)) != declared:
            raise RuntimeError(f"{uri}: {len(set(imported))} of {declared} nodes were imported")
    uris = await server.get_namespace_array()
    return {uri: uris.index(uri) for _, uri in MODELS}


@contextlib.contextmanager
def _remembered_subtypes(view: Any) -> Iterator[None]:
    """asyncua walks all reference types for each reference it looks at: a third of an import's time."""
    walk = view._get_sub_ref  # noqa: SLF001
    view._get_sub_ref = cache(lambda kind: frozenset(walk(kind)))  # noqa: SLF001
    yield
    del view._get_sub_ref  # noqa: SLF001


def _prepared(name: str) -> ElementTree.Element:
    path = files("o6_nodeset_compiler") / "bundle" / f"{name}.xml.gz"
    text = gzip.decompress(path.read_bytes()).decode("utf-8-sig")
    root = ElementTree.fromstring(re.sub(r"<\?xml[^>]*\?>", "", text, count=1))  # noqa: S314
    if name == "di":
        _drop_design_tool_nodes(root)
    if name == "machinery_result":
        _strip_structured_defaults(root)
    if name == "machinery_jobs":
        _map_option_sets(root)
    return root


def _drop_design_tool_nodes(root: ElementTree.Element) -> None:
    """DI carries nodes for modelling tools, without a parent; asyncua cannot place them."""
    tools = [each for each in root if each.get("DesignToolOnly") == "true"]
    dropped = {each.get("NodeId") for each in tools}
    for node in tools:
        root.remove(node)
    for references in root.iter(f"{NODESET}References"):
        for reference in [each for each in references if (each.text or "").strip() in dropped]:
            references.remove(reference)


def _strip_structured_defaults(root: ElementTree.Element) -> None:
    """Three default values hold structures of the model itself, which asyncua's importer cannot read."""
    for node in root:
        value = node.find(f"{NODESET}Value")
        if value is not None and value.find("{*}ExtensionObject") is not None:
            node.remove(value)


def _map_option_sets(root: ElementTree.Element) -> None:
    """An option set is its unsigned base type on the wire; asyncua knows no field of such a type."""
    sets = {
        each.get("NodeId"): _base_type(each)
        for each in root
        if each.tag == f"{NODESET}UADataType" and _is_option_set(each)
    }
    for alias in root.iter(f"{NODESET}Alias"):
        if alias.text in sets:
            sets[alias.get("Alias")] = sets[alias.text]
    for field in root.iter(f"{NODESET}Field"):
        if (kind := field.get("DataType")) in sets:
            field.set("DataType", sets[kind])


def _is_option_set(node: ElementTree.Element) -> bool:
    definition = node.find(f"{NODESET}Definition")
    return definition is not None and definition.get("IsOptionSet") == "true"


def _base_type(node: ElementTree.Element) -> str:
    for reference in node.iter(f"{NODESET}Reference"):
        is_inverse = reference.get("IsForward") == "false"
        if reference.get("ReferenceType") == "HasSubtype" and is_inverse:
            return (reference.text or "").strip()
    return f"i={ua.ObjectIds.UInt32}"
