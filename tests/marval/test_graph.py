"""Which stages wait for which: the longest chains, by networkx as well."""

import networkx

from marval.pipeline.graph import graph_of


def test_how_many_stages_wait_in_the_longest_chain(root, monkeypatch):
    monkeypatch.chdir(root)
    graph = graph_of("smoke")
    edges = [
        (maker, stage.address)
        for stage in graph.stages.values()
        for maker in [*graph.inputs(stage).values(), *graph.other_files(stage).values()]
    ]
    drawn = networkx.DiGraph(edges)
    waiting = graph.waiting()
    assert waiting.keys() == graph.stages.keys() == set(drawn)
    for address, count in waiting.items():
        after = drawn.subgraph({address, *networkx.descendants(drawn, address)})
        assert count == networkx.dag_longest_path_length(after)
    assert waiting["report@smoke"] == 0
