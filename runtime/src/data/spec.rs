//! What a program says about its data, checked by the compiler; read by the loaders.

use super::objects::grid::Grid;

/// Bytes `start..end` of the program's text: where a message about this may point.
pub type Place = (usize, usize);

#[derive(Clone, Debug, PartialEq)]
pub struct DataSpec {
    pub name: String,
    pub place: Place,
    pub source: Source,
    pub source_place: Place,
    /// In the order of the program. A field with several targets is several fields.
    pub fields: Vec<FieldSpec>,
    pub split: Split,
    pub split_place: Place,
}

#[derive(Clone, Debug, PartialEq)]
pub enum Source {
    Csv {
        path: String,
        header: bool,
        skip: usize,
        /// `None`: found out (comma, semicolon, tab, spaces).
        separator: Option<char>,
        /// Cells that mean "missing", besides the empty one.
        missing: Vec<String>,
        decimal: char,
        /// Where the pictures start that cells name.
        root: Option<String>,
        encoding: Encoding,
    },
    /// A folder of IDX files named as MNIST's.
    Idx {
        path: String,
    },
    /// Pictures of CIFAR as files of records: a folder or an archive.
    Cifar {
        path: String,
        which: Cifar,
    },
    Npy {
        path: String,
    },
    Npz {
        path: String,
    },
    /// One text of characters.
    Text {
        path: String,
        encoding: Encoding,
    },
    /// Texts, one a line.
    Lines(Lines),
    /// Texts, one a file, in a folder for each class; of `lines` the parts and the encoding.
    Documents {
        path: String,
        lines: Lines,
    },
    /// Objects of JSON, one a line.
    Jsonl {
        path: String,
        encoding: Encoding,
    },
    /// Pictures in folders, each named like the class of what is in it; `{part}` in the path is a part of the split.
    Folders {
        path: String,
        skip_broken: bool,
    },
    /// Pictures and masks of equal names.
    Pairs {
        images: String,
        masks: String,
        skip_broken: bool,
    },
    /// Pictures with boxes: a folder as of Pascal VOC.
    Voc {
        path: String,
        skip_broken: bool,
    },
    /// Pictures with boxes: `images`, and in `labels` a text for each.
    Yolo {
        path: String,
        skip_broken: bool,
    },
    /// Pictures with boxes that one file of JSON holds.
    Coco {
        images: String,
        json: String,
        skip_broken: bool,
    },
    Synthetic {
        name: String,
        count: usize,
        seed: u64,
    },
}

/// Files whose lines are examples: one file, one for each class, or some whose lines belong together.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Lines {
    /// Name and path; a single file has no name.
    pub files: Vec<(String, String)>,
    /// What stands for `{part}` in the paths: of training, validation and test.
    pub parts: [Option<String>; 3],
    pub encoding: Encoding,
}

/// With ten classes, or with a hundred in twenty coarse ones.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cifar {
    Ten,
    Hundred,
}

/// How bytes are characters.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Encoding {
    #[default]
    Utf8,
    Latin1,
}

#[derive(Clone, Debug, PartialEq)]
pub struct FieldSpec {
    pub name: String,
    pub place: Place,
    /// `Some`: indices into this dim; else numbers.
    pub dim: Option<DimSpec>,
    /// Shape of one example; `None` where the data decides (a dim to be solved).
    pub shape: Vec<AxisSpec>,
    pub from: Selector,
    pub steps: Vec<FieldStep>,
}

#[derive(Clone, Debug, PartialEq)]
pub struct AxisSpec {
    pub name: String,
    pub size: Option<usize>,
    /// Each example has its own length, and this is the most: `dim t <= 64`. Then `size` is `None`.
    pub most: Option<usize>,
}

/// A dim that labels index. `size: None`: solved from the data.
#[derive(Clone, Debug, PartialEq)]
pub struct DimSpec {
    pub name: String,
    pub size: Option<usize>,
    /// Empty for a dim without names.
    pub names: Vec<String>,
}

#[derive(Clone, Debug, PartialEq)]
pub enum ColumnRef {
    /// From 0.
    At(usize),
    /// By header.
    Named(String),
}

#[derive(Clone, Debug, PartialEq)]
pub enum Selector {
    /// `columns(0..4)`, `columns("a", "b")`
    Columns(Vec<ColumnRef>),
    /// `columns(4..)`: from here to the last.
    ColumnsFrom(usize),
    /// `column(4)`
    Column(ColumnRef),
    /// `images` of idx and synthetic sources
    Images,
    /// `labels`
    Labels,
    /// An array of an npz file, by name (`array("x")`); the array of an npy file.
    Array(String),
    /// What a source calls so: `line`, `file`, the name of a parallel file, a part of synthetic data.
    Named(String),
    /// The name of the folder: a class.
    Folder,
    /// `masks` of pairs: a class for every point.
    Masks,
    /// `boxes`: the objects of a picture.
    Boxes,
    /// `objects |> to_grid(gy, gx)`: in training, what each cell of a grid tells of the objects.
    Grid(Grid),
    /// `partner(image, by = label)`: a field of another example, every other time of one with the same class.
    Partner { of: String, by: String },
    /// `alike(label)`: whether the partner has the same class.
    Alike { by: String },
    /// `image("center")`: the pictures that a column names.
    Picture(ColumnRef),
    /// `characters |> next_token(t)`: windows of a text, or the same one character ahead.
    Characters { length: usize, ahead: bool },
}

/// Done in order; statistics come from the training part only and are stored in the model.
#[derive(Clone, Debug, PartialEq)]
pub enum FieldStep {
    /// `x * by + shift`
    Scale {
        by: f64,
        shift: f64,
    },
    /// Per element of an example, `(x - mean) / spread`; over the named axes jointly where given.
    Standardize {
        over: Vec<String>,
    },
    /// Per element, to 0..1.
    MinMax,
    Log,
    /// Missing cells: a number, or the mean of the column.
    Fill(Option<f64>),
    /// Missing cells of a field of classes: this class.
    FillClass(String),
    /// Of pictures and masks, before any other step.
    Picture(PictureStep),
    /// Indices to one-hot vectors of this many classes (`None`: solved).
    OneHot {
        size: Option<usize>,
    },
    /// From a text to symbols.
    Text(TextStep),
    /// Of rows in order: `length` of them, from `after` rows after the first on.
    Windows {
        length: usize,
        after: usize,
    },
}

/// On the way from a text to symbols.
#[derive(Clone, Debug, PartialEq)]
pub enum TextStep {
    Lowercase,
    Characters,
    /// At most `keep` different ones, each at least `min_count` times in the training part.
    Words {
        keep: Option<usize>,
        min_count: usize,
    },
    Subwords {
        keep: usize,
    },
    /// What stands before each place, or the symbol that follows.
    NextToken {
        ahead: bool,
    },
}

/// What happens to a picture before its points are numbers.
#[derive(Clone, Debug, PartialEq)]
pub enum PictureStep {
    Resize {
        h: usize,
        w: usize,
        nearest: bool,
    },
    /// The whole picture within this size, its sides in proportion.
    Letterbox {
        h: usize,
        w: usize,
    },
    Crop {
        top: usize,
        bottom: usize,
        left: usize,
        right: usize,
    },
    Gray,
    /// Of masks: the value at place i is class i.
    Levels(Vec<u8>),
    /// Of masks: points of this value belong to no class.
    Ignore(u8),
}

#[derive(Clone, Debug, PartialEq)]
pub enum Split {
    Ratio {
        train: f64,
        val: f64,
        test: f64,
        stratify: Option<String>,
        group: Option<ColumnRef>,
        seed: u64,
    },
    /// As the source says; `val` is this share of its training part.
    Official {
        val: f64,
        seed: u64,
    },
    /// By the files' names, `{part}`; `val` is this share of the training part where there are no files for it.
    Files {
        val: f64,
        seed: u64,
    },
    InOrder {
        train: f64,
        val: f64,
        test: f64,
    },
}
