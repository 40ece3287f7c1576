"""What tests/real/deploy does with YAML.

schemas CRDS FOLDER VERSIONS…: the schemas of Kubernetes, and those of the Prometheus operator's own kinds, as kubeconform
reads them: by paths that are there, and closed to members that they do not know.
configurations FILE FOLDER: every serin.yml of a ConfigMap, as a file of its own. agree FIRST FILES…: the pods are the
same in what does not depend on where their data lies.
"""

import json
import sys
from pathlib import Path

import kubernetes_validate
import yaml


def closed(schema):
    """kubectl says so, too, of a member that no schema has."""
    if isinstance(schema, dict):
        if "properties" in schema and "additionalProperties" not in schema:
            schema["additionalProperties"] = False
        for inner in schema.values():
            closed(inner)
    elif isinstance(schema, list):
        for inner in schema:
            closed(inner)
    return schema


def schemas(crds, folder, *versions):
    there = Path(kubernetes_validate.__file__).parent / "kubernetes-json-schema"
    for version in versions:
        copied = Path(folder, f"v{version}")
        copied.mkdir(parents=True)
        for file in (there / f"v{version}-local-strict").glob("*.json"):
            schema = json.loads(file.read_text().replace("/api/_definitions.json", "_definitions.json"))
            # By its name it would be looked for on the web.
            schema.pop("$id", None)
            (copied / file.name).write_text(json.dumps(schema))
    for kind in ["prometheusrules", "servicemonitors"]:
        crd = yaml.safe_load(Path(crds, f"monitoring.coreos.com_{kind}.yaml").read_text())
        schema = closed(crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"])
        # Of it Kubernetes has the schema.
        schema["properties"]["metadata"] = {"type": "object"}
        Path(folder, f"{kind[:-1]}.json").write_text(json.dumps(schema))


def documents(file):
    return [document for document in yaml.safe_load_all(Path(file).read_text()) if document]


def configurations(file, folder):
    for number, document in enumerate(documents(file)):
        if "serin.yml" in document.get("data", {}):
            Path(folder, f"{number}.serin.yml").write_text(document["data"]["serin.yml"])


def pod(file):
    deployment = next(document for document in documents(file) if document["kind"] == "Deployment")
    spec = deployment["spec"]["template"]["spec"]
    container = spec["containers"][0]
    kept = ["args", "ports", "startupProbe", "livenessProbe", "readinessProbe", "lifecycle", "resources", "securityContext"]
    return {
        "container": {key: container[key] for key in kept},
        "config": next(variable for variable in container["env"] if variable["name"] == "SERIN_CONFIG"),
        "grace": spec["terminationGracePeriodSeconds"],
        "links": spec["enableServiceLinks"],
        "user": {key: value for key, value in spec["securityContext"].items() if not key.startswith("fsGroup")},
        "temporary": next(volume for volume in spec["volumes"] if volume["name"] == "tmp"),
        "service": [port for d in documents(file) if d["kind"] == "Service" for port in d["spec"]["ports"]],
    }


def agree(first, *files):
    wanted = pod(first)
    for file in files:
        found = pod(file)
        for key, value in wanted.items():
            if found[key] != value:
                sys.exit(f"{Path(file).name} differs from {Path(first).name} in {key}:\n{found[key]}\n{value}")
    print(f"{len(files)} ways to install it have the pod of {Path(first).name}")


{"schemas": schemas, "configurations": configurations, "agree": agree}[sys.argv[1]](*sys.argv[2:])
