//! The messages of the manual in full, and that no text whatever makes the checker fall over.

use dlc_compiler::base::Diagnostic;
use dlc_compiler::hir::{self, Mode, Sources};
use std::fs;
use std::path::Path;

struct NoFiles;

impl Sources for NoFiles {
    fn read(&self, _: &str) -> Result<String, String> {
        Err("no such file".into())
    }
}

/// Everything said about a program, with the text of each place.
fn said(text: &str) -> Vec<String> {
    let (sources, list) = match hir::check("test.dl", text, &NoFiles, &[]) {
        Ok(c) => (c.sources().clone(), c.warnings.clone()),
        Err(f) => (f.sources, f.diagnostics),
    };
    let show = |d: &Diagnostic| {
        let at = |span| sources.slice(span).to_string();
        let mut lines = vec![format!("{} {} | {} | {}", d.code, d.message, at(d.primary.span), d.primary.text)];
        lines.extend(d.secondary.iter().map(|l| format!("  {} | {}", at(l.span), l.text)));
        lines.extend(d.notes.iter().map(|(text, span)| format!("  note: {text} | {}", span.map_or(String::new(), at))));
        lines.extend(d.help.iter().map(|h| format!("  help: {h}")));
        lines
    };
    list.iter().flat_map(show).collect()
}

#[test]
fn sizes_differ_in_a_block() {
    let text = "
block Residual(x: [h, w, c], ch, stride = 1) -> y {
  f = x |> conv(ch, 3, stride = stride)
  s = x
  y = relu(f + s)
}
model M(x: [h: 32, w: 32, c: 16]) -> y { y = x |> Residual(32, stride = 2) }";
    assert_eq!(
        said(text),
        [
            "E0304 axis `h` is 16 on the left and 32 on the right | f + s | `f` is [h: 16, w: 16, c: 32]",
            "  s | `s` is [h: 32, w: 32, c: 16]",
            "  note: in block `Residual`, called here | Residual(32, stride = 2)",
            "  help: project the shortcut: `x |> conv(ch, 1, stride = stride)`",
        ]
    );
}

#[test]
fn an_unknown_layer() {
    assert_eq!(
        said("model M(x: [c: 3]) -> y { y = x |> desne(120) |> relu }"),
        ["E0203 unknown layer `desne` | desne | not a layer", "  help: a layer with a similar name exists: `dense`"]
    );
}

#[test]
fn labels_of_another_dim() {
    let text = "
dim digit = 10
data d { source = npz(\"a\") field image: [p: 4] = array(\"x\") field label: digit = array(\"y\") }
model LeNet(image: [p: 4]) -> logits { logits = image |> dense(10) }
train LeNet on d { loss = cross_entropy(logits, label) }";
    assert_eq!(
        said(text),
        [
            "E0310 the label indexes `digit`, but the logits have no axis `digit` | logits | [c: 10]",
            "  label | an index into `digit`",
            "  note: declaring the output, `-> logits: [digit]`, would report this at the model (E0313) | ",
            "  help: end the model with `dense(digit)`",
        ]
    );
}

#[test]
fn an_outer_product() {
    let text = "
dim t = 40
dim s = 40
model M(looks: [t, s], memory: [s, c: 256]) -> y { y = looks * memory }";
    assert_eq!(
        said(text),
        [
            "E0305 `*` would make a new table of [t, s, c] | looks * memory | left is [t: 40, s: 40], right is [s: 40, c: 256]",
            "  help: to multiply and sum over `s`, write `dot(looks, memory, over = s)`",
        ]
    );
}

#[test]
fn a_size_that_is_a_fraction() {
    let text = "
block attend(x: [t, d], heads) -> y { y = x |> dense(qkv: 3, head: heads, key: x.d / heads) }
block Transformer(x: [t, d], heads) -> y { y = x |> attend(heads) }
model M(x: [t: 3, d: 192]) -> y { y = x |> repeat 6 { Transformer(heads = 5) } }";
    assert_eq!(
        said(text),
        [
            "E0308 the size of `key` is x.d / heads = 38.4, not a whole number | x.d / heads | 192 / 5",
            "  note: in `attend`, called from `Transformer`, called here | Transformer(heads = 5)",
            "  help: 192 is divisible by 1, 2, 3, 4, 6, 8, 12, 16",
        ]
    );
}

#[test]
fn a_value_that_nothing_reads() {
    let text = "
model M(pool1: [h: 8, w: 8, c: 20]) -> y: [h: 8, w: 8, c: 50] {
  conv2 = pool1 |> conv(50, 5) |> relu |> max_pool(2)
  y = pool1 |> conv(50, 3) |> relu
}";
    assert_eq!(
        said(text),
        [
            "unused_value `conv2` is never used | conv2 | its 25,050 weights would never learn",
            "  pool1 | `y` reads `pool1` too"
        ]
    );
}

#[test]
fn independent_mistakes_are_all_told() {
    let text = "
dim kind = 3
model M(x: [c: 4]) -> y: [kind] {
  a = x |> dens(3)
  b = a |> relu |> dense(2)
  c = x |> dropout(2)
  y = b + nothing
}
train M on nowhere { loss = mse(y, y)  epoch = 3 }";
    let codes: Vec<String> = said(text).iter().filter(|l| !l.starts_with(' ')).map(|l| l[..5].to_string()).collect();
    assert_eq!(codes, ["E0203", "E0410", "E0201", "E0201", "E0209"]);
}

/// Words that are put in the place of others.
const WORDS: &[&str] = &[
    "0",
    "-1",
    "1e300",
    "0.5",
    "{",
    ")",
    "x",
    "relu",
    "dense",
    "over",
    "\"t\"",
    "[..]",
    "20 epochs",
    "10%",
    "digit",
    "c: 3",
    "=",
    "|>",
    "repeat",
    "if",
    "state",
];

/// The words of a text: names, numbers, or single signs.
fn words(text: &str) -> Vec<&str> {
    let mut found = vec![];
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let same = |c: char| (c.is_alphanumeric() || c == '_') == (first.is_alphanumeric() || first == '_');
        let single = !(first.is_alphanumeric() || first == '_');
        let end = if single { first.len_utf8() } else { rest.find(|c| !same(c)).unwrap_or(rest.len()) };
        found.push(&rest[..end]);
        rest = &rest[end..];
    }
    found
}

/// Any word of the examples gone, doubled or replaced: a message or a program that builds, never a panic.
#[test]
fn mutilated_programs_never_panic() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples");
    let mut seed = 1u64;
    for name in ["digits.dl", "x_or_not.dl", "housing.dl", "lenet.dl"] {
        let text = fs::read_to_string(folder.join(name)).expect("an example");
        let parts = words(&text);
        for _ in 0..150 {
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            let (at, how) = ((seed >> 33) as usize % parts.len(), (seed >> 20) as usize);
            let mut changed = parts.clone();
            match how % 3 {
                0 => drop(changed.remove(at)),
                1 => changed.insert(at, parts[how % parts.len()]),
                _ => changed[at] = WORDS[how % WORDS.len()],
            }
            if let Ok(checked) = hir::check("test.dl", &changed.concat(), &NoFiles, &[])
                && let Ok(solved) = checked.solve(&[])
                && solved.hir().parameters().is_some_and(|n| n < 1 << 30)
            {
                let _ = (solved.graph(Mode::Train, 2), solved.graph(Mode::Predict, 1), solved.canonical_source());
            }
        }
    }
}

/// Programs that would fill the memory or never end are refused at once.
#[test]
fn monsters_are_refused() {
    let model = |body: &str| format!("model M(x: [c: 3]) -> y {{\n {body} }}");
    let first = |text: &str| said(text).first().map_or(String::new(), |l| l[..5].to_string());
    assert_eq!(first(&model("y = x |> repeat 10000 { repeat 10000 { relu } }")), "E0315");
    assert_eq!(first(&model("y = x |> repeat 60 { concat_self }")), "E0203");
    assert_eq!(
        first(&format!("block D(x: [c]) -> y {{ y = concat(x, x, over = c) }}\n{}", model("y = x |> repeat 60 { D }"))),
        "E0315"
    );
    assert_eq!(first(&format!("block F(x: [..]) -> y {{ y = x |> F |> F }}\n{}", model("y = x |> F"))), "E0311");
    let doubling: String =
        (1..40).map(|i| format!("block B{i}(x: [..]) -> y {{ y = x |> B{} |> B{} }}\n", i - 1, i - 1)).collect();
    let text = format!("block B0(x: [..]) -> y {{ y = x }}\n{doubling}{}", model("y = x |> B39"));
    assert_eq!(first(&text), "E0311");
    let lists: String = (1..30).map(|i| format!("const l{i} = [l{0}, l{0}, l{0}, l{0}]\n", i - 1)).collect();
    assert_eq!(first(&format!("const l0 = 1\n{lists}{}", model("y = x"))), "E0315");
    let unknown = format!(
        "dim word\nblock D(x: [c]) -> y {{ y = concat(x, x, over = c) }}\nmodel M(x: [word]) -> y {{ y = x |> view(word -> c) |> repeat 60 {{ D }} }}"
    );
    assert_eq!(said(&unknown), Vec::<String>::new());
}
