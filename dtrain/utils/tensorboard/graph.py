"""The modules of a model as TensorBoard's graph."""

from __future__ import annotations

from typing import Any

from dtrain.nn import Module


def make_graph(model: Module) -> Any:
    """A GraphDef with a node for each module; a child is the input of its successor.

    What the forward pass does between the modules is not seen: a module comes after the one that
    is before it in its parent.
    """
    from tensorboardX.proto import attr_value_pb2, graph_pb2, node_def_pb2, versions_pb2

    nodes: list[Any] = []
    for path, module in model.named_modules():
        name = f"{type(model).__name__}/{path.replace('.', '/')}".rstrip("/")
        if next(module.children(), None) is not None:
            continue
        text = attr_value_pb2.AttrValue(s=repr(module).encode())
        before = [nodes[-1].name] if nodes else []
        node = node_def_pb2.NodeDef(
            name=name, op=type(module).__name__, input=before, attr={"attr": text}
        )
        nodes.append(node)
    return graph_pb2.GraphDef(node=nodes, versions=versions_pb2.VersionDef(producer=22))
