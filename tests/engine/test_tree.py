"""The capability tree: places, names and growth."""

import re
from threading import Barrier

import pytest
from hypothesis import given
from hypothesis import strategies as st

from capability_router.engine.default_tree import TreeMapping
from capability_router.engine.errors import AmbiguousCapabilityError, UnknownCapabilityError
from capability_router.engine.tree import CapabilityNode, CapabilityTree, NodeType
from tests.engine.building import CHAT, TEXT, together

# Written down a second time on purpose: the names are a contract with every configuration.
DEFAULT_OUTLINE = {
    "generation": {
        "text-generation": "chat-completion text-completion code-generation",
        "structured-generation": (
            "json-generation schema-constrained-output function-call-generation"
        ),
        "image-generation": "text-to-image image-to-image inpainting",
        "audio-generation": "text-to-speech music-generation",
        "video-generation": "text-to-video image-to-video",
    },
    "understanding": {
        "text-understanding": "summarization classification sentiment-analysis entity-extraction",
        "vision-understanding": "image-captioning object-detection ocr",
        "audio-understanding": "speech-to-text speaker-identification audio-classification",
        "document-understanding": "document-parsing table-extraction form-extraction",
        "video-understanding": "video-captioning",
    },
    "transformation": {
        "translation": "",
        "rewriting": "",
        "style-transfer": "",
        "image-editing": "background-removal upscaling format-conversion",
        "audio-processing": "noise-reduction voice-cloning audio-separation",
    },
    "representation": {
        "embeddings": "text-embeddings image-embeddings multimodal-embeddings",
        "tokenization": "",
        "feature-extraction": "",
    },
    "retrieval": {
        "search": "semantic-search web-search image-search code-search",
        "knowledge-graph": "graph-query entity-linking relation-extraction",
        "rag": "retrieval-augmented-generation grounded-generation",
        "reranking": "",
    },
    "interaction": {
        "tool-calling": "",
        "agent-execution": "single-step-agent multi-step-agent",
        "multi-turn-conversation": "",
        "realtime-conversation": "",
        "computer-use": "",
    },
    "evaluation": {
        "content-moderation": "",
        "toxicity-detection": "",
        "factuality-checking": "",
        "quality-scoring": "",
    },
}


def outlined() -> dict[str, NodeType]:
    expected: dict[str, NodeType] = {}
    for category, below in DEFAULT_OUTLINE.items():
        expected[category] = NodeType.CATEGORY
        for name, leaves in below.items():
            kind = NodeType.SUBCATEGORY if leaves else NodeType.LEAF
            expected[f"{category}.{name}"] = kind
            expected |= {f"{category}.{name}.{leaf}": NodeType.LEAF for leaf in leaves.split()}
    return expected


def paths(nodes: list[CapabilityNode]) -> list[str]:
    return [node.path for node in nodes]


def test_default_tree_holds_exactly_the_documented_nodes_in_their_order() -> None:
    tree = CapabilityTree()
    assert {node.path: node.node_type for node in tree} == outlined()
    assert [node.path for node in tree] == list(outlined())


def test_default_tree_has_seven_categories_and_custom_ones_come_after() -> None:
    tree = CapabilityTree()
    assert paths(tree.list_categories()) == list(DEFAULT_OUTLINE)
    tree.add_node("", "compliance")
    assert paths(tree.list_categories()) == [*DEFAULT_OUTLINE, "compliance"]


def test_every_default_name_resolves_by_its_last_segment() -> None:
    tree = CapabilityTree()
    assert [tree.resolve(node.name) for node in tree] == list(tree)


def test_nodes_of_each_level_know_their_place() -> None:
    tree = CapabilityTree()
    top, middle, leaf = (tree.get_node(path) for path in ("generation", TEXT, CHAT))
    assert top
    assert middle
    assert leaf
    assert (top.name, top.parent, top.is_leaf) == ("generation", None, False)
    assert (middle.name, middle.parent, middle.is_leaf) == ("text-generation", "generation", False)
    assert (leaf.name, leaf.parent, leaf.is_leaf) == ("chat-completion", TEXT, True)
    assert middle.children == [CHAT, f"{TEXT}.text-completion", f"{TEXT}.code-generation"]
    assert leaf.children == []


def test_get_node_takes_full_paths_only_and_returns_none_for_the_rest() -> None:
    tree = CapabilityTree()
    tree.add_alias("chat", CHAT)
    for name in ("chat-completion", "chat", "", "generation.", "generation.nothing"):
        assert tree.get_node(name) is None


def test_ancestors_go_from_the_parent_up_to_the_category() -> None:
    tree = CapabilityTree()
    assert paths(tree.get_ancestors(CHAT)) == [TEXT, "generation"]
    assert tree.get_ancestors("generation") == []


def test_descendants_are_all_below_with_each_parent_before_its_children() -> None:
    tree = CapabilityTree()
    below = paths(tree.get_descendants("generation"))
    assert below == [path for path in outlined() if path.startswith("generation.")]
    assert tree.get_descendants(CHAT) == []


def test_leaves_of_a_subtree_are_its_routable_nodes() -> None:
    tree = CapabilityTree()
    assert paths(tree.get_leaves("transformation")) == [
        path
        for path, kind in outlined().items()
        if path.startswith("transformation.") and kind is NodeType.LEAF
    ]


def test_leaves_of_a_leaf_are_that_leaf() -> None:
    tree = CapabilityTree()
    assert tree.get_leaves(CHAT) == [tree.get_node(CHAT)]


def test_empty_category_has_no_leaves_and_is_none() -> None:
    tree = CapabilityTree()
    added = tree.add_node("", "compliance")
    assert tree.get_leaves("compliance") == []
    assert (added.node_type, added.is_leaf) == (NodeType.CATEGORY, False)


def test_added_node_is_a_leaf_under_its_parent() -> None:
    tree = CapabilityTree()
    added = tree.add_node(TEXT, "poetry")
    assert added == CapabilityNode(f"{TEXT}.poetry", "poetry", TEXT, [], is_leaf=True)
    assert tree.get_node(f"{TEXT}.poetry") is added
    assert tree.get_leaves(TEXT)[-1] is added


def test_leaf_becomes_a_subcategory_with_its_first_child() -> None:
    tree = CapabilityTree()
    child = tree.add_node("chat-completion", "small-talk")
    parent = tree.resolve(CHAT)
    assert (parent.is_leaf, parent.node_type) == (False, NodeType.SUBCATEGORY)
    assert (parent.path, parent.children) == (CHAT, [child.path])
    assert tree.get_leaves(CHAT) == [child]


def test_category_stays_a_category_with_its_first_child() -> None:
    tree = CapabilityTree.from_mapping({"custom": None})
    tree.add_node("custom", "first")
    assert tree.resolve("custom").node_type is NodeType.CATEGORY


def test_ancestry_is_strict_and_goes_by_whole_segments() -> None:
    tree = CapabilityTree()
    tree.add_node("generation", "text")
    assert tree.is_ancestor_of("generation", CHAT)
    assert tree.is_ancestor_of(TEXT, CHAT)
    assert not tree.is_ancestor_of(CHAT, TEXT)
    assert not tree.is_ancestor_of(CHAT, CHAT)
    assert not tree.is_ancestor_of("generation.text", CHAT)


def test_existing_node_is_refused_and_its_neighbours_are_named() -> None:
    tree = CapabilityTree()
    with pytest.raises(ValueError, match=r"'retrieval\.rag' exists already.*retrieval\.reranking"):
        tree.add_node("retrieval", "rag")
    with pytest.raises(ValueError, match=r"'retrieval' exists already.*evaluation"):
        tree.add_node("", "retrieval")
    assert {node.path for node in tree} == set(outlined())


def test_unknown_parent_is_a_key_error_and_adds_nothing() -> None:
    tree = CapabilityTree()
    with pytest.raises(KeyError, match="nearest: generation"):
        tree.add_node("genration", "poetry")
    assert {node.path for node in tree} == set(outlined())


@pytest.mark.parametrize("name", ["", "Chat", "chat completion", "chat.completion", "ä", "a_b"])
def test_malformed_name_is_refused(name: str) -> None:
    tree = CapabilityTree()
    with pytest.raises(ValueError, match=re.escape(repr(name))):
        tree.add_node("generation", name)
    with pytest.raises(ValueError, match=re.escape(repr(name))):
        tree.add_alias(name, CHAT)
    with pytest.raises(ValueError, match=re.escape(repr(name))):
        CapabilityTree.from_mapping({"top": [name]})


@given(st.from_regex(r"[a-z0-9-]+", fullmatch=True))
def test_every_name_of_the_allowed_letters_is_taken(name: str) -> None:
    tree = CapabilityTree.from_mapping({"top": None})
    assert tree.add_node("top", name).path == f"top.{name}"


@pytest.mark.parametrize(
    "lookup",
    [
        CapabilityTree.resolve,
        CapabilityTree.get_ancestors,
        CapabilityTree.get_descendants,
        CapabilityTree.get_leaves,
        lambda tree, name: tree.is_ancestor_of("generation", name),
        lambda tree, name: tree.is_ancestor_of(name, CHAT),
        lambda tree, name: tree.add_alias("other", name),
    ],
)
def test_every_lookup_of_an_unknown_name_says_what_is_near(lookup: object) -> None:
    assert callable(lookup)
    with pytest.raises(
        UnknownCapabilityError, match=f"'chat-compltion'; nearest: {CHAT}"
    ) as caught:
        lookup(CapabilityTree(), "chat-compltion")
    assert isinstance(caught.value, KeyError)
    assert (caught.value.name, caught.value.near[0]) == ("chat-compltion", CHAT)


def test_misspelt_path_names_the_nearest_path() -> None:
    with pytest.raises(UnknownCapabilityError, match=f"nearest: {CHAT}"):
        CapabilityTree().resolve("generation.text-generaton.chat-completion")


def test_name_that_resembles_nothing_names_nothing() -> None:
    with pytest.raises(UnknownCapabilityError) as caught:
        CapabilityTree().resolve("qqqq")
    assert str(caught.value) == "unknown capability 'qqqq'"


def test_path_short_name_and_alias_mean_the_same_node() -> None:
    tree = CapabilityTree()
    tree.add_alias("chat", "chat-completion")
    tree.add_alias("chat", CHAT)
    assert tree.resolve(CHAT) is tree.resolve("chat-completion") is tree.resolve("chat")
    assert {CHAT, "chat-completion", "chat"} <= set(tree.names)


def test_ambiguous_short_name_lists_every_candidate() -> None:
    tree = CapabilityTree()
    tree.add_node("evaluation", "chat-completion")
    with pytest.raises(AmbiguousCapabilityError, match="is ambiguous") as caught:
        tree.resolve("chat-completion")
    assert caught.value.near == ("evaluation.chat-completion", CHAT)
    assert all(path in str(caught.value) for path in caught.value.near)
    assert "chat-completion" not in tree.names


def test_alias_settles_an_ambiguous_short_name() -> None:
    tree = CapabilityTree()
    tree.add_node("evaluation", "chat-completion")
    tree.add_alias("chat-completion", CHAT)
    assert tree.resolve("chat-completion").path == CHAT


def test_alias_is_refused_where_it_would_hide_something() -> None:
    tree = CapabilityTree()
    tree.add_alias("chat", CHAT)
    with pytest.raises(ValueError, match=f"'chat' already stands for '{CHAT}'"):
        tree.add_alias("chat", "reranking")
    with pytest.raises(ValueError, match="'generation' already stands for"):
        tree.add_alias("generation", CHAT)
    assert tree.resolve("chat").path == CHAT


def test_iteration_length_and_membership_agree() -> None:
    tree = CapabilityTree()
    assert len(tree) == len(list(tree)) == len(outlined())
    assert CHAT in tree
    assert "chat-completion" not in tree
    assert 42 not in tree


def test_node_added_during_an_iteration_does_not_disturb_it() -> None:
    tree = CapabilityTree()
    seen = [tree.add_node(node.path, "more") for node in tree]
    assert len(seen) == len(outlined())


def test_tree_shows_its_size_and_its_outline() -> None:
    tree = CapabilityTree.from_mapping({"top": {"middle": ["leaf", "other"]}, "second": None})
    assert repr(tree) == "CapabilityTree(2 categories, 5 nodes, 2 leaves)"
    assert str(tree) == "top\n  middle\n    leaf\n    other\nsecond"


names = st.from_regex(r"[a-z0-9-]{1,6}", fullmatch=True)
Below = dict[str, object] | list[str] | None
below_nodes: st.SearchStrategy[Below] = st.recursive(
    st.none() | st.lists(names, unique=True, max_size=3),
    lambda deeper: st.dictionaries(names, deeper, max_size=3),
    max_leaves=12,
)


@given(st.dictionaries(names, below_nodes, max_size=4))
def test_mapping_round_trip_keeps_every_node(mapping: TreeMapping) -> None:
    tree = CapabilityTree.from_mapping(mapping)
    again = CapabilityTree.from_mapping(tree.to_mapping())  # type: ignore[arg-type]  # its values are object
    assert list(again) == list(tree)
    assert again.to_mapping() == tree.to_mapping()
    assert {node.path for node in tree} == set(written(mapping, ""))


def written(below: object, above: str) -> list[str]:
    if isinstance(below, dict):
        deeper = [path for name in below for path in written(below[name], f"{above}{name}.")]
        return [*(f"{above}{name}" for name in below), *deeper]
    return [f"{above}{name}" for name in below] if isinstance(below, list) else []


def test_default_tree_survives_its_own_mapping() -> None:
    tree = CapabilityTree()
    again = CapabilityTree.from_mapping(tree.to_mapping())  # type: ignore[arg-type]  # its values are object
    assert list(again) == list(tree)


@pytest.mark.parametrize("below", ["leaf", 5, {"deeper": "leaf"}])
def test_mapping_with_anything_but_mappings_and_lists_is_refused(below: object) -> None:
    with pytest.raises(ValueError, match="neither a mapping nor a list"):
        CapabilityTree.from_mapping({"top": below})  # type: ignore[dict-item]  # on purpose


def test_same_name_twice_under_one_parent_is_refused() -> None:
    with pytest.raises(ValueError, match=r"'top\.a' exists already"):
        CapabilityTree.from_mapping({"top": ["a", "a"]})


def test_of_many_threads_that_add_the_same_node_exactly_one_succeeds() -> None:
    tree, rounds, threads = CapabilityTree(), 200, 6
    ready = Barrier(threads)

    def write() -> int:
        won = 0
        for number in range(rounds):
            ready.wait()
            try:
                tree.add_node("retrieval", f"contested-{number}")
                won += 1
            except ValueError:
                continue
        return won

    assert sum(together(*[write] * threads)) == rounds
    assert len(tree.resolve("retrieval").children) == len(DEFAULT_OUTLINE["retrieval"]) + rounds


def test_threads_may_add_nodes_while_others_look_them_up() -> None:
    tree = CapabilityTree()

    def write(writer: int) -> None:
        for number in range(100):
            tree.add_node("generation", f"only-{writer}-{number}")
            tree.add_node(f"only-{writer}-{number}", "below")

    def read() -> None:
        for _ in range(60):
            nodes = list(tree)
            assert [tree.get_node(node.path) for node in nodes] == nodes
            assert all(leaf.path in tree for leaf in tree.get_leaves("generation"))
            assert tree.resolve("chat-completion").path == CHAT
            assert CHAT in tree.names

    together(*[lambda writer=w: write(writer) for w in range(6)], *[read] * 4)
    assert len(tree) == len(outlined()) + 6 * 100 * 2


def test_alias_takes_no_name_away_from_the_one_node_that_has_it() -> None:
    tree = CapabilityTree.from_mapping({"a": ["chat", "code"], "b": ["code"]})
    with pytest.raises(ValueError, match=r"alias 'chat' is the name of 'a\.chat'"):
        tree.add_alias("chat", "b")
    tree.add_alias("code", "b.code")
    assert tree.resolve("code").path == "b.code"
