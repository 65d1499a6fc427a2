//! The articles of `dlc explain`: one file per message in `grammar/messages/`, listed here and nowhere else.
//!
//! `tests/tidy.rs` compares the list with the folder, with the codes that the sources raise, and with `tests/ui/`.

macro_rules! articles {
    ($($code:literal)*) => {
        &[$(($code, include_str!(concat!("../grammar/messages/", $code, ".md")))),*]
    };
}

/// Errors, by code.
pub const ERRORS: &[(&str, &str)] = articles!(
    "E0101"
    "E0102"
    "E0103"
    "E0104"
    "E0105"
    "E0106"
    "E0107"
    "E0108"
    "E0109"
    "E0199"
    "E0201"
    "E0202"
    "E0203"
    "E0204"
    "E0205"
    "E0206"
    "E0207"
    "E0208"
    "E0209"
    "E0210"
    "E0301"
    "E0302"
    "E0303"
    "E0304"
    "E0305"
    "E0306"
    "E0307"
    "E0308"
    "E0309"
    "E0310"
    "E0311"
    "E0312"
    "E0313"
    "E0314"
    "E0315"
    "E0316"
    "E0401"
    "E0402"
    "E0403"
    "E0404"
    "E0405"
    "E0406"
    "E0407"
    "E0408"
    "E0409"
    "E0410"
    "E0411"
    "E0501"
    "E0502"
    "E0503"
    "E0504"
    "E0505"
    "E0506"
    "E0507"
    "E0508"
    "E0509"
    "E0510"
    "E0511"
    "E0601"
    "E0602"
    "E0603"
    "E0604"
    "E0605"
    "E0606"
    "E0607"
    "E0701"
    "E0702"
    "E0703"
    "E0705"
    "E0901"
    "E0902"
    "E0903"
);

/// Warnings, by name.
pub const LINTS: &[(&str, &str)] = articles!(
    "bias_before_batch_norm"
    "dead_dropout"
    "linear_after_linear"
    "missing_validation"
    "name_shadows_dim"
    "one_class"
    "path_outside_project"
    "pool_drops_edge"
    "relu_on_logits"
    "schedule_too_short"
    "sigmoid_before_bce"
    "softmax_before_loss"
    "unused_dim"
    "unused_field"
    "unused_output"
    "unused_value"
    "wide_flatten"
);

/// The article on a code or lint; the letter of a code may be small.
pub fn find(code: &str) -> Option<&'static str> {
    let same = |(name, _): &&(&str, &str)| name.eq_ignore_ascii_case(code);
    ERRORS.iter().chain(LINTS).find(same).map(|(_, article)| *article)
}

/// The heading of an article without the code: what it is about.
pub fn title(article: &str) -> &str {
    let first = article.lines().next().unwrap_or("");
    first.split_once(": ").map_or(first, |(_, title)| title)
}
