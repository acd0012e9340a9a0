import dataclasses
import hashlib
import importlib.metadata
import json
import sys
import warnings
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path, PurePosixPath

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tokenizers import Tokenizer
from tokenizers.models import WordLevel

from scalinglaws import files
from scalinglaws.config import DataConfig
from scalinglaws.lab import corpus
from scalinglaws.lab.corpus import Corpus, CorpusMismatch, MarkovSource, codecs

PYSTACK = sys.modules["scalinglaws.lab.corpus.pystack"]
MARKOV = sys.modules["scalinglaws.lab.corpus.markov"]  # the package has a function of that name
SMALL = MarkovSource(vocab_size=16, zipf_exponent=1.0, seed=3)
LINE = "def area(width, height):\n    return width * height\n"


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    """A cache folder of the test's own."""
    monkeypatch.setenv("SCALINGLAWS_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache" / "corpus-1"


@pytest.fixture(scope="module")
def source() -> MarkovSource:
    return MarkovSource()


# Installed packages: a made-up one, so that versions and files can be changed at will.


def sources(n_files: int = 60) -> dict[str, bytes]:
    """Files of a package: n_files of them text, the others of kinds that are left out."""
    kept = {f"demo/part{i}.py": f"# file {i}\n{LINE * (i + 1)}".encode() for i in range(n_files)}
    generated = ("demo/__init__.py", "demo/version.py", "demo/sub/__config__.py", "numpy/distutils/core.py")
    return kept | dict.fromkeys((*generated, "demo/data.csv", "../../bin/tool.py"), b"left out\n")


@pytest.fixture
def install(tmp_path, monkeypatch):
    """Function that puts a package 'demo' first on the import path, as an installer would."""

    def install(contents: dict[str, bytes], version: str = "1.0") -> Path:
        root = tmp_path / f"site{len(list(tmp_path.glob('site*')))}" / "lib" / "packages"
        records = [f"{path},sha256={hashlib.sha256(content).hexdigest()},1" for path, content in contents.items()]
        info = {"METADATA": f"Name: demo\nVersion: {version}\n", "RECORD": "\n".join(records)}
        all_files = contents | {f"demo-{version}.dist-info/{name}": text.encode() for name, text in info.items()}
        for path, content in all_files.items():
            (root / path).parent.mkdir(parents=True, exist_ok=True)
            (root / path).write_bytes(content)
        monkeypatch.syspath_prepend(root)
        return root

    return install


@pytest.fixture
def manifest(install, tmp_path) -> Path:
    """Manifest of the made-up package."""
    install(sources())
    path = tmp_path / "manifest.json"
    path.write_text(json.dumps(corpus.inventory(["demo"])))
    return path


def documents(found: Corpus, tokens: np.ndarray) -> list[str]:
    return found.decode(tokens).removesuffix(corpus.SEPARATOR).split(corpus.SEPARATOR)


def test_pystack_holds_each_file_of_the_manifest_once(manifest):
    found = corpus.pystack("bytes", manifest=manifest)
    train, val = documents(found, found.train), documents(found, found.val)
    kept = sorted(content.decode() for path, content in sources().items() if path.startswith("demo/part"))
    assert sorted(train + val) == kept
    assert val
    assert found.matches_manifest
    assert found.fingerprint == json.loads(manifest.read_text())["fingerprint"]
    n_bytes = sum(map(len, kept))
    assert found.bytes_per_token == n_bytes / (n_bytes + len(kept))


def test_pystack_is_ordered_by_hash(manifest):
    found = corpus.pystack("bytes", manifest=manifest)
    texts = documents(found, found.val) + documents(found, found.train)
    hashes = [hashlib.sha256(text.encode()).hexdigest() for text in texts]
    assert hashes == sorted(hashes)


@pytest.mark.parametrize(
    ("change", "version"),
    [
        (lambda content: content.replace(b"\n", b"\r\n"), "1.0"),  # a Windows wheel
        (lambda content: content, "1.0+cu130"),  # another build
    ],
)
def test_builds_of_one_version_are_one_corpus(install, manifest, change, version):
    expected = corpus.inventory(["demo"])
    install({path: change(content) for path, content in sources().items()}, version)
    assert corpus.inventory(["demo"]) == expected


def test_what_builds_write_is_left_out(install, manifest):
    expected = corpus.inventory(["demo"])
    changed = {path: content if "part" in path else b"other\n" for path, content in sources().items()}
    install(changed)
    assert corpus.inventory(["demo"]) == expected


@pytest.mark.parametrize("path", ["pandas/core/frame.py", "torch/nn/__init__.py", "six.py"])
def test_sources_are_kept(path):
    assert PYSTACK._is_source(PurePosixPath(path))


def test_another_version_is_reported_and_used(install, manifest):
    assert corpus.pystack(manifest=manifest).matches_manifest
    install(sources(50), "1.1")
    with pytest.warns(CorpusMismatch, match=r"pystack is not the expected corpus.*: demo 1\.1 instead of 1\.0$"):
        found = corpus.pystack(manifest=manifest)
    assert not found.matches_manifest
    assert found.fingerprint != json.loads(manifest.read_text())["fingerprint"]
    assert len(documents(found, found.train) + documents(found, found.val)) == 50


def test_an_edited_file_is_reported(install, manifest):
    root = install(sources())
    (root / "demo/part7.py").write_text("edited\n")
    with pytest.warns(CorpusMismatch, match="demo 1.0 has other files than expected"):
        corpus.pystack(manifest=manifest)


def test_a_missing_package_is_reported(manifest):
    expected = json.loads(manifest.read_text())
    expected["packages"]["no-such-package"] = expected["packages"]["demo"]
    manifest.write_text(json.dumps(expected))
    with pytest.warns(CorpusMismatch, match="no-such-package is not installed"):
        assert corpus.pystack(manifest=manifest).differences == ("no-such-package is not installed",)


def test_no_package_at_all_is_an_error(tmp_path):
    (tmp_path / "manifest.json").write_text('{"packages": {"no-such-package": {}}}')
    with pytest.raises(ValueError, match=r"none of no-such-package is installed; pip install"):
        corpus.pystack(manifest=tmp_path / "manifest.json")
    with pytest.raises(ValueError, match=r"manifest=.*no such file; install with"):
        corpus.pystack(manifest=tmp_path / "absent.json")


def test_a_second_call_reads_the_cache_only(install, manifest):
    root = install(sources())
    first = corpus.pystack(manifest=manifest)
    for file in root.glob("demo/*.py"):
        file.unlink()
    second = corpus.pystack(manifest=manifest)
    assert isinstance(second.train, np.memmap)
    assert not second.train.flags.writeable
    np.testing.assert_array_equal(second.train, first.train)
    np.testing.assert_array_equal(second.val, first.val)


@pytest.mark.parametrize("damage", [lambda b: b"", lambda b: b[:70], lambda b: b[:-9], lambda b: b"x" * len(b)])
@pytest.mark.parametrize("suffix", ["-train.npy", "-val.npy", ".json"])
def test_a_damaged_file_of_the_cache_is_made_anew(manifest, cache, suffix, damage):
    first = corpus.pystack(manifest=manifest)
    [path] = cache.glob(f"*{suffix}")
    whole, train = path.read_bytes(), first.train.copy()
    path.unlink()
    path.write_bytes(damage(whole))
    again = corpus.pystack(manifest=manifest)
    assert path.read_bytes() == whole
    np.testing.assert_array_equal(again.train, train)


def test_a_cache_on_a_full_disk_is_said_in_words(cache, monkeypatch):
    def full(file, arr):
        raise OSError("1000 requested and 12 written")  # what numpy says, without a reason

    monkeypatch.setattr(np, "save", full)
    with pytest.raises(OSError, match=r"cannot write .*-train\.npy: 1000 requested.*the disk may be full; free space"):
        corpus.markov(SMALL, n_tokens=1000)
    assert not list(cache.glob("**/*.npy"))


def test_killed_while_writing_leaves_nothing(cache):
    def save(file):
        file.write(b"half")
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        files.write_whole(cache / "tokens.npy", save)
    assert list(cache.iterdir()) == []


def test_writers_at_once_do_not_share_a_draft(cache):
    path = cache / "note.txt"

    def save(file):
        file.write(b"first, ")
        files.write_whole(path, lambda other: other.write(b"second"))
        file.write(b"and last")

    files.write_whole(path, save)
    assert path.read_bytes() == b"first, and last"
    assert list(cache.iterdir()) == [path]


def test_builders_at_once_agree(manifest, cache):
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda _: corpus.pystack(manifest=manifest), range(8)))
    for one in found[1:]:
        np.testing.assert_array_equal(one.train, found[0].train)
    assert sorted(path.suffix for path in cache.iterdir()) == [".json", ".npy", ".npy"]


def test_pystack_of_the_pinned_packages():
    """The real one: what a reader gets who installed requirements.txt."""
    with warnings.catch_warnings():
        warnings.simplefilter("error", CorpusMismatch)
        found = corpus.load(DataConfig())
    assert found.differences == ()
    expected = json.loads(corpus.MANIFEST.read_text())
    assert found.fingerprint == expected["fingerprint"]
    assert len(found.train) + len(found.val) == expected["bytes"] + expected["files"]
    assert expected["bytes"] > 140e6
    assert 0.02 < len(found.val) / len(found.train) < 0.03
    assert found.train.dtype == np.uint8
    assert np.count_nonzero(found.train == 0) + np.count_nonzero(found.val == 0) == expected["files"]
    # Both parts are the same mixture, yet 218 files of very unequal size: bigram entropies were 2.1% apart, measured.
    both = [corpus.ngram_entropy(part, 2, 128) for part in (found.train, found.val)]
    assert both[0] == pytest.approx(2.56, abs=0.01)
    assert both[1] == pytest.approx(both[0], rel=0.04)


def test_manifest_names_the_pinned_versions():
    expected = json.loads(corpus.MANIFEST.read_text())["packages"]
    pins = (Path(__file__).parents[2] / "constraints.txt").read_text().lower().splitlines()
    assert [name for name, row in expected.items() if f"{name}=={row['version']}" not in pins] == []
    assert {name: importlib.metadata.version(name).split("+")[0] for name in expected} == {
        name: row["version"] for name, row in expected.items()
    }


# Synthetic source


def test_stationary_law_is_stationary(source):
    step = np.einsum("ab,aby->by", source.stationary, source.transition)
    assert np.abs(step - source.stationary).sum() < 1e-14
    assert source.stationary.sum() == pytest.approx(1, abs=1e-14)
    np.testing.assert_allclose(source.transition.sum(-1), 1, atol=1e-14)


@pytest.mark.parametrize("case", [MarkovSource(), SMALL], ids=["default", "small"])
def test_entropy_by_a_second_route(case):
    """Entropy of triples less entropy of pairs is the entropy rate, if and only if pairs are stationary."""
    triples = case.stationary[..., None] * case.transition
    by_blocks = -(triples * np.log(triples)).sum() + (case.stationary * np.log(case.stationary)).sum()
    assert case.entropy == pytest.approx(by_blocks, abs=1e-12)
    first = case.stationary.sum(1)
    conditional = case.stationary / first[:, None]
    by_rows = -(first[:, None] * conditional * np.log(conditional)).sum()
    assert case.bigram_entropy == pytest.approx(by_rows, abs=1e-12)
    assert 0 < case.entropy < case.bigram_entropy < case.unigram_entropy < np.log(case.vocab_size)


def test_the_floor_of_a_window():
    """One token of context costs the bigram entropy; the first of three does, the other two cost the entropy rate."""
    source = corpus.MarkovSource(vocab_size=16)
    assert source.floor(1) == pytest.approx(source.bigram_entropy, rel=1e-12)
    assert source.floor(3) == pytest.approx((source.bigram_entropy + 2 * source.entropy) / 3, rel=1e-12)


def test_law_is_the_stated_mixture():
    """Context by context, p(y | a, b) from its definition; q1 depends on the last symbol alone."""
    candidates = SMALL._successors.reshape(16, 16, -1)[..., :8]
    assert (candidates[..., :4] == candidates[:1, :, :4]).all()
    for a, b in np.ndindex(16, 16):
        law = 0.10 * SMALL.unigram
        for weight, symbol in zip(SMALL.candidate_weights, candidates[a, b, :4], strict=True):
            law[symbol] += 0.20 * weight
        for weight, symbol in zip(SMALL.candidate_weights, candidates[a, b, 4:], strict=True):
            law[symbol] += 0.70 * weight
        np.testing.assert_allclose(SMALL.transition[a, b], law, atol=1e-15)


def test_candidates_are_distinct_draws_from_the_unigram_law(source):
    candidates = source._successors[:, 4:8]
    ordered = np.sort(candidates, axis=1)
    assert (ordered[:, 1:] > ordered[:, :-1]).all()
    share = np.bincount(candidates[:, 0], minlength=128) / len(candidates)
    standard_error = np.sqrt(source.unigram * (1 - source.unigram) / len(candidates))
    assert (np.abs(share - source.unigram) < 5 * standard_error).all()  # of 128 symbols, the worst near 3


def test_sample_scores_the_entropy_under_the_true_law(source):
    tokens = source.sample(2**20 + 2, seed=5)
    blocks = source.nll(tokens).reshape(64, -1).mean(1)  # 16k tokens each: as good as independent
    standard_error = blocks.std(ddof=1) / 8
    assert standard_error < 0.003
    assert abs(blocks.mean() - source.entropy) < 3 * standard_error


def test_counts_of_a_sample_give_the_lower_order_entropies(source):
    tokens = source.sample(2**21, seed=6)
    # Plug-in bias is at most V^2 / (2 n) = 0.004 nats; the chain's own spread was measured at 0.003.
    assert corpus.ngram_entropy(tokens, 1, 128) == pytest.approx(source.unigram_entropy, abs=0.01)
    assert corpus.ngram_entropy(tokens, 2, 128) == pytest.approx(source.bigram_entropy, abs=0.01)


def test_pieces_walked_at_once_are_one_chain():
    """Few, short columns, so that many walks are needed; against one step after another."""
    moves = np.random.default_rng(0).integers(0, len(SMALL._moves), (4, 50))
    moves[moves >= 8] %= 8  # no choice by u: the past is never forgotten for sure
    tokens, last = SMALL._chain(moves, 7)
    context, expected = 7, []
    for move in moves.T.ravel():
        expected.append(SMALL._successors[context, move])
        context = context % 16 * 16 + expected[-1]
    assert tokens.tolist() == expected
    assert last == context


def test_a_longer_sample_starts_with_the_shorter(monkeypatch):
    monkeypatch.setattr(MARKOV, "_STEPS", 64)
    long = SMALL.sample(3 * 64 * 1024 + 100, seed=0)
    for n in (1, 777, 64 * 1024, 2 * 64 * 1024 + 1):
        np.testing.assert_array_equal(SMALL.sample(n, seed=0), long[:n])
    assert (SMALL.sample(1000, seed=1) != long[:1000]).any()


@pytest.mark.parametrize(("steps", "pieces"), [(4, 1), (16, 4)])
def test_samples_have_no_seams(steps, pieces, monkeypatch):
    """Neither between the pieces of a block nor between blocks: all symbols after a seam follow the law."""
    monkeypatch.setattr(MARKOV, "_STEPS", steps)
    monkeypatch.setattr(MARKOV, "_PIECES", pieces)
    surprise = SMALL.nll(SMALL.sample(2**14 + 2, seed=0))
    standard_error = surprise.std() / 2**7  # 0.01 nats; unrelated pieces would cost 0.1 or more
    assert abs(surprise.mean() - SMALL.entropy) < 3 * standard_error


def test_markov_corpus(monkeypatch):
    found = corpus.markov(SMALL, n_tokens=5000)
    assert (len(found.train), len(found.val), found.vocab_size) == (5000, 2**20, 16)
    assert found.entropy == SMALL.entropy
    assert (found.val[:5000] != found.train).any()
    assert found.encode(found.decode(found.train)).tolist() == found.train.tolist()
    longer = corpus.markov(SMALL, n_tokens=6000)
    assert longer.fingerprint == found.fingerprint
    np.testing.assert_array_equal(longer.train[:5000], found.train)
    other = corpus.markov(dataclasses.replace(SMALL, seed=4), n_tokens=5000)
    assert other.fingerprint != found.fingerprint


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("vocab_size", 257),
        ("vocab_size", 3),
        ("weights", (0.5, 0.2, 0.2)),
        ("weights", (0.0, 0.3, 0.7)),
        ("candidate_weights", (1.5, -0.5)),
    ],
)
def test_markov_refuses_a_law_it_cannot_hold(field, value):
    with pytest.raises(ValueError, match=r"(vocab_size|weights)=.*: (choose|give)"):
        MarkovSource(**{field: value})


# Files of one's own


def test_one_file_validates_on_its_end(tmp_path):
    text = "".join(f"line {i} é\n" for i in range(500))
    (tmp_path / "book.txt").write_text(text)
    found = corpus.files(str(tmp_path / "book.txt"), "bytes", val_fraction=0.1)
    train, val = documents(found, found.train)[0], documents(found, found.val)[0]
    assert train + val == text
    assert len(val) == len(text) // 10


@pytest.mark.parametrize("pattern", ["", "*.txt", "**/*.txt"])
def test_many_files_validate_on_whole_files(tmp_path, pattern):
    folder = tmp_path / "texts"
    folder.mkdir()
    for i in range(40):
        (folder / f"{i}.txt").write_text(f"{i}\n" + LINE)
    (folder / "copy.txt").write_text("0\n" + LINE)
    (folder / ".hidden").mkdir()
    (folder / ".hidden" / "note.txt").write_text("hidden")
    found = corpus.files(str(folder / pattern), "ascii")
    train, val = documents(found, found.train), documents(found, found.val)
    assert sorted(train + val) == sorted(f"{i}\n" + LINE for i in range(40))
    assert len(val) == 3  # the first of the 40 that reach 5%: two of the shortest fall just short
    assert found.matches_manifest


@pytest.mark.parametrize(
    ("contents", "message"),
    [
        (None, "no such file; give a text file"),
        (b"", "all files are empty; give files with text"),
        (b"x", "1 bytes are too few to train on and to validate; give more text"),
        (b"ab\xff", r"note.txt is not UTF-8 at byte 2; convert it"),
    ],
)
def test_unusable_files_say_what_to_do(tmp_path, contents, message):
    if contents is not None:
        (tmp_path / "note.txt").write_bytes(contents)
    with pytest.raises(ValueError, match=rf"^path='.*note.txt': {message}|^path=.*{message}") as caught:
        corpus.load(DataConfig(corpus="files", path=str(tmp_path / "note.txt")))
    assert "\n" not in str(caught.value)


def test_validation_must_leave_text_to_train_on(tmp_path):
    with pytest.raises(ValueError, match=r"val_fraction=1.5: give a share above 0 and at most 0.5"):
        corpus.files(str(tmp_path), val_fraction=1.5)


# What the three share


@pytest.fixture
def book(tmp_path) -> DataConfig:
    (tmp_path / "book.txt").write_text(LINE * 100)
    return DataConfig(corpus="files", path=str(tmp_path / "book.txt"))


def test_unique_tokens_cuts_the_train_part(book):
    whole = corpus.load(book)
    part = corpus.load(dataclasses.replace(book, unique_tokens=100))
    np.testing.assert_array_equal(part.train, whole.train[:100])
    assert part.fingerprint == whole.fingerprint
    drawn = dataclasses.replace(book, unique_tokens=100, unique_from="everywhere")
    np.testing.assert_array_equal(corpus.load(drawn).train, whole.train)  # the trainer draws its sequences
    with pytest.raises(ValueError, match=rf"unique_tokens=1000000: files has {len(whole.train)} training tokens; ask"):
        corpus.load(dataclasses.replace(book, unique_tokens=1_000_000))


def test_markov_grows_with_unique_tokens(monkeypatch):
    monkeypatch.setattr(corpus, "MARKOV_TOKENS", 1000)
    assert len(corpus.load(DataConfig(corpus="markov", unique_tokens=3000)).train) == 3000
    with pytest.raises(ValueError, match="vocab='bytes': the markov source has its own symbols"):
        corpus.load(DataConfig(corpus="markov", vocab="bytes"))


def test_another_fingerprint_is_reported(book):
    found = corpus.load(book)
    assert corpus.load(dataclasses.replace(book, fingerprint=found.fingerprint)).matches_manifest
    with pytest.warns(CorpusMismatch, match=f"fingerprint {found.fingerprint} instead of 0123"):
        other = corpus.load(dataclasses.replace(book, fingerprint="0123"))
    assert not other.matches_manifest


@pytest.mark.parametrize("vocab", ["ascii", "bytes"])
@given(text=st.text(st.characters(codec="utf-8", exclude_characters="\x7f�")))
def test_text_comes_back(vocab, text):
    codec = codecs.codec_of(vocab)
    ids = codec.encode(text)
    assert ids.size == 0 or ids.max() < codec.vocab_size
    assert codec.encode(codec.decode(ids)).tolist() == ids.tolist()
    if vocab == "bytes" or text.isascii():
        assert codec.decode(ids) == text


def test_ascii_puts_high_bytes_in_one_token():
    assert codecs.codec_of("ascii").encode_files(["aé".encode(), b"b"]).tolist() == [97, 127, 127, 0, 98, 0]


def test_ids_outside_the_vocabulary_are_refused(book):
    found = corpus.load(book)
    assert found.decode([]) == ""
    with pytest.raises(ValueError, match="ids: 128 is no token of files; give ids from 0 to 127"):
        found.decode([5, 128])
    symbols = corpus.markov(SMALL, n_tokens=10)
    with pytest.raises(ValueError, match="ids: 16 is no token of markov; give ids from 0 to 15"):
        symbols.encode("3 16")


def test_a_vocabulary_of_subwords(book, tmp_path):
    path = tmp_path / "bpe.json"
    as_bytes = corpus.load(dataclasses.replace(book, vocab="bytes"))
    corpus.train_bpe(as_bytes, 270, path)
    first = path.read_bytes()
    corpus.train_bpe(as_bytes, 270, path)
    assert path.read_bytes() == first
    found = corpus.load(dataclasses.replace(book, vocab=str(path)))
    assert (found.vocab_size, found.train.dtype) == (270, np.uint16)
    assert found.decode(found.train) + found.decode(found.val) == (
        as_bytes.decode(as_bytes.train) + as_bytes.decode(as_bytes.val)
    ).replace(corpus.SEPARATOR, corpus.END_OF_FILE)
    assert found.bytes_per_token == pytest.approx(len(LINE) * 100 / (len(found.train) + len(found.val)))
    assert found.bytes_per_token > 1.5
    assert found.decode(found.encode("naïve ≠ native")) == "naïve ≠ native"
    assert found.fingerprint != as_bytes.fingerprint
    corpus.train_bpe(corpus.files(__file__), 270, path)
    assert corpus.load(dataclasses.replace(book, vocab=str(path))).fingerprint != found.fingerprint
    with pytest.raises(ValueError, match="vocab_size=256: choose from 257"):
        corpus.train_bpe(as_bytes, 256, path)
    with pytest.raises(ValueError, match="vocab_size=128 is not bytes; use vocab='bytes'"):
        corpus.train_bpe(corpus.load(book), 270, path)


def test_unusable_vocabularies_say_what_to_do(book, tmp_path):
    with pytest.raises(ValueError, match=r"vocab='unicode': no such file; choose 'ascii', 'bytes' or the path"):
        corpus.load(dataclasses.replace(book, vocab="unicode"))
    with pytest.raises(ValueError, match=r"vocab='.*book.txt': not a tokenizer.json .*; save one with"):
        corpus.load(dataclasses.replace(book, vocab=book.path))
    path = str(tmp_path / "large.json")
    Tokenizer(WordLevel({"a": 0, "b": 2**16}, unk_token="a")).save(path)
    with pytest.raises(ValueError, match="65537 tokens, at most 65536 can be stored; see train_bpe"):
        corpus.load(dataclasses.replace(book, vocab=path))


# How predictable a text is


def test_ngram_entropy_of_known_sequences():
    tokens = np.tile(np.array([0, 1, 0, 2], np.uint8), 2**20)  # more than one chunk of counts
    assert corpus.ngram_entropy(tokens, 1, 3) == pytest.approx(1.5 * np.log(2), abs=1e-12)
    assert corpus.ngram_entropy(tokens, 2, 3) == pytest.approx(0.5 * np.log(2), abs=1e-6)  # half the pairs decide
    assert corpus.ngram_entropy(tokens, 3, 3) == pytest.approx(0, abs=1e-6)
    fair = np.random.default_rng(0).integers(0, 4, 2**20)
    assert corpus.ngram_entropy(fair, 3, 4) == pytest.approx(np.log(4), abs=1e-4)  # 48 / 2^21 of bias, and spread


@pytest.mark.parametrize(("order", "vocab_size"), [(0, 4), (9, 4), (2, 3), (3, 512)])
def test_ngram_entropy_refuses(order, vocab_size):
    with pytest.raises(ValueError, match=r"(order|vocab_size)=.*(give|lower)"):
        corpus.ngram_entropy(np.array([0, 1, 2, 3, 0, 1, 2, 3]), order, vocab_size)


@pytest.mark.parametrize("method", ["xz", "gzip"])
def test_compression_bounds_the_entropy(method, source):
    """Above the entropy rate of the source, and for coin flips one bit each in eight."""
    tokens = source.sample(2**17, seed=0).tobytes()
    assert source.entropy < corpus.compressed_nats_per_byte(tokens, method) < source.unigram_entropy
    noise = np.random.default_rng(0).bytes(2**16)
    assert corpus.compressed_nats_per_byte(noise, method) == pytest.approx(8 * np.log(2), rel=0.01)
    with pytest.raises(ValueError, match="method='zip'"):
        corpus.compressed_nats_per_byte(tokens, "zip")
