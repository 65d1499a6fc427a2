//! Convolutions over one to three sliding axes, and their transposes.

use super::dense::{bias_of, features, glorot, weight_type};
use crate::base::{Diagnostic, Span};
use crate::hir::args::Call;
use crate::hir::elab::{Elab, Res};
use crate::hir::layer::{What, Window};
use crate::hir::shape::product;
use crate::hir::value::{Axis, Change, Placed, Size, Table, Val, opaque};

/// How the border is filled.
pub enum Pad {
    Same,
    /// As many results as places, and none of them reads a later one.
    Past,
    Sides(Vec<usize>),
}

/// The sliding axes: those of `over`, or all but the last.
pub fn sliding<'a>(e: &mut Elab<'a>, c: &mut Call<'a>, ty: &Table, span: Span) -> Res<Vec<String>> {
    let feature = features(e, c, ty, span)?;
    let names: Vec<String> = match e.take_axes(c, "over")? {
        Some(names) => {
            if let Some((_, at)) = names.iter().find(|(n, _)| *n == feature.name) {
                let message = format!("`{}` is the feature axis, it cannot slide over it", feature.name);
                return e.fail("E0303", *at, message);
            }
            let found = e.have_axes(ty, &names)?;
            ty.axes.iter().map(|a| a.name.clone()).filter(|n| found.contains(n)).collect()
        }
        None => ty.axes[..ty.axes.len() - 1].iter().map(|a| a.name.clone()).collect(),
    };
    if names.is_empty() || names.len() > 3 {
        let message = format!("`{}` slides over one to three axes, found {}", c.name, names.len());
        let err = Diagnostic::error("E0303", span, message).here(format!("the table is {ty}"));
        return Err(e.report(err.note("the last axis holds the features; the axes before it slide")));
    }
    Ok(names)
}

/// `pad = same`, `pad = none`, `pad = 1`, `pad = [1, 2]`
pub fn take_pad<'a>(e: &mut Elab<'a>, c: &mut Call<'a>, count: usize, default: Pad) -> Res<Pad> {
    match e.take_word(c, "pad")? {
        None => Ok(default),
        Some((Ok(word), _)) if word == "same" => Ok(Pad::Same),
        Some((Ok(word), _)) if word == "past" => Ok(Pad::Past),
        Some((Ok(word), _)) if word == "none" => Ok(Pad::Sides(vec![0; count])),
        Some((Ok(word), span)) => {
            let err = Diagnostic::error("E0410", span, format!("`pad` cannot be `{word}`"));
            Err(e.report(err.help("write `pad = same`, `pad = none`, `pad = past`, or a number")))
        }
        Some((Err(Val::List(items)), span)) if items.len() == count => {
            let sides: Res<_> = items.into_iter().map(|v| pad_number(e, (v, span))).collect();
            Ok(Pad::Sides(sides?))
        }
        Some((Err(value), span)) => Ok(Pad::Sides(vec![pad_number(e, (value, span))?; count])),
    }
}

fn pad_number<'a>(e: &mut Elab<'a>, placed: Placed<'a>) -> Res<usize> {
    let span = placed.1;
    match e.whole_number(placed, "pad", 0)? {
        n if n > 1 << 24 => e.fail("E0315", span, format!("`pad` is {n}, which is too large")),
        n => Ok(n),
    }
}

/// The border of one sliding axis.
#[derive(Clone, Copy)]
enum Border {
    Same,
    Past,
    Both(usize),
}

/// One sliding axis: its new size and its padding.
fn slide(n: usize, k: usize, s: usize, d: usize, border: Border) -> Option<(usize, (usize, usize))> {
    let reach = (k.checked_sub(1)?).checked_mul(d)?.checked_add(1)?;
    match border {
        Border::Past => Some((n.div_ceil(s), (reach - 1, 0))),
        Border::Same => {
            let out = n.div_ceil(s);
            let total = ((out - 1).checked_mul(s)?.checked_add(reach)?).saturating_sub(n);
            Some((out, (total / 2, total - total / 2)))
        }
        Border::Both(p) => {
            let room = n.checked_add(p.checked_mul(2)?)?.checked_sub(reach)?;
            Some((room / s + 1, (p, p)))
        }
    }
}

/// One sliding axis of which each example has its own length: how it changes, and the padding before it. Behind it
/// are as many zeros as the last window needs.
fn slide_variable(k: usize, s: usize, d: usize, border: Border) -> (Change, (usize, usize)) {
    let reach = (k - 1).saturating_mul(d).saturating_add(1);
    match border {
        // As much before as where the length is a multiple of the stride.
        Border::Same => (Change::Slide { more: -1, stride: s }, (reach.saturating_sub(s) / 2, 0)),
        Border::Past => (Change::Slide { more: -1, stride: s }, (reach - 1, 0)),
        Border::Both(p) => (Change::Slide { more: 2 * p as i64 - reach as i64, stride: s }, (p, p)),
    }
}

/// The result of windows that slid over some axes. Where each example has its own length, it has its own result.
pub fn slid(axes: Vec<Axis>, ty: &Table, over: &[String]) -> Table {
    let own = ty.variable().any(|(a, _)| over.contains(&a.name));
    Table { axes, batched: ty.batched || own, ..ty.clone() }
}

/// Fills in the padding and gives the new sizes of the sliding axes (E0307).
pub fn slide_all<'a>(e: &mut Elab<'a>, c: &Call<'a>, ty: &Table, w: &mut Window, pad: &Pad) -> Res<Vec<Axis>> {
    let mut axes = ty.axes.clone();
    for (i, name) in w.over.clone().iter().enumerate() {
        let (k, s, d) = (w.kernel[i], w.stride[i], w.dilation[i]);
        let p = match pad {
            Pad::Same => Border::Same,
            Pad::Past => Border::Past,
            Pad::Sides(sides) => Border::Both(sides[i]),
        };
        for axis in axes.iter_mut().filter(|a| a.name == *name) {
            axis.size = match &axis.size {
                Size::Variable(v) => {
                    let (change, sides) = slide_variable(k, s, d, p);
                    w.pad[i] = sides;
                    v.then(change)
                }
                Size::Unknown(t) if s == 1 && !matches!(p, Border::Both(_)) => Size::Unknown(t.clone()),
                Size::Unknown(t) => Size::Unknown(opaque(format!("({t}) / {s}"))),
                Size::Known(n) => match slide(*n, k, s, d, p) {
                    Some((out, sides)) => {
                        w.pad[i] = sides;
                        Size::Known(out)
                    }
                    None => {
                        let what = if c.name.ends_with("pool") { "pool" } else { "kernel" };
                        let message = format!("axis `{name}` is {n}, smaller than the {what} {k}");
                        let err = Diagnostic::error("E0307", c.span, message).here(format!("the table is {ty}"));
                        return Err(e.report(err));
                    }
                },
            };
        }
    }
    Ok(axes)
}

fn take_groups<'a>(e: &mut Elab<'a>, c: &mut Call<'a>, feature: &Axis, out: &Axis) -> Res<usize> {
    let groups = e.take_sizes(c, "groups", 1, Some(1))?[0];
    for axis in [feature, out] {
        if axis.size.known().is_some_and(|n| n % groups != 0) {
            let message = format!("axis `{}` of {} cannot be split into {groups} groups", axis.name, axis.size);
            return e.fail("E0308", c.span, message);
        }
    }
    Ok(groups)
}

/// `conv(x, o, k, stride = 1, pad = same, dilation = 1, groups = 1, bias = true, over = ...)`
pub fn conv<'a>(e: &mut Elab<'a>, c: &mut Call<'a>) -> Res<Val<'a>> {
    let (x, span) = e.take_real_table(c, "x")?;
    let ty = e.number_type(x, span)?;
    let feature = features(e, c, &ty, span)?;
    let out = e.take_out(c, "size")?;
    let over = sliding(e, c, &ty, span)?;
    let n = over.len();
    let kernel = e.take_sizes(c, "k", n, None)?;
    let stride = e.take_sizes(c, "stride", n, Some(1))?;
    let dilation = e.take_sizes(c, "dilation", n, Some(1))?;
    let pad = take_pad(e, c, n, Pad::Same)?;
    let groups = take_groups(e, c, &feature, &out)?;
    let bias = e.take_flag(c, "bias", true)?;
    let mut w = Window { over, kernel, stride, dilation, pad: vec![(0, 0); n], groups };
    let mut axes = slide_all(e, c, &ty, &mut w, &pad)?;
    axes.pop();
    axes.push(out.clone());
    let result = slid(axes, &ty, &w.over);
    e.check_size(&result, c.span)?;
    let inner = match &feature.size {
        Size::Known(n) => Size::Known(n / groups),
        open => open.clone(),
    };
    let weight = kernel_weight(e, c, &w, Axis::new(feature.name, inner), &out)?;
    let mut operands = vec![x, weight];
    if bias {
        operands.push(bias_of(e, c, std::slice::from_ref(&out))?);
    }
    e.push(What::Conv(w), &operands, result, c.span).map(Val::Table)
}

/// The weight `[k..., in, out]`, begun after Glorot with the kernel's area.
fn kernel_weight<'a>(
    e: &mut Elab<'a>,
    c: &Call<'a>,
    w: &Window,
    inner: Axis,
    out: &Axis,
) -> Res<crate::hir::value::LayerId> {
    let mut axes: Vec<Axis> =
        w.over.iter().zip(&w.kernel).map(|(n, k)| Axis::new(format!("k{n}"), Size::Known(*k))).collect();
    let area = product(&axes).known().unwrap_or(1);
    let fan = |s: &Size| s.known().map(|n| n.saturating_mul(area));
    let start = glorot(fan(&inner.size), fan(&out.size));
    axes.push(inner);
    e.weight(format!("{}.weight", c.path), weight_type(axes, std::slice::from_ref(out)), start, c.span)
}

/// `conv_transpose(x, o, k, stride = 1)`: every sliding axis becomes `n * stride`.
pub fn conv_transpose<'a>(e: &mut Elab<'a>, c: &mut Call<'a>) -> Res<Val<'a>> {
    let (x, span) = e.take_real_table(c, "x")?;
    let ty = e.number_type(x, span)?;
    let feature = features(e, c, &ty, span)?;
    let out = e.take_out(c, "size")?;
    let over = sliding(e, c, &ty, span)?;
    let n = over.len();
    let kernel = e.take_sizes(c, "k", n, None)?;
    let stride = e.take_sizes(c, "stride", n, Some(1))?;
    let bias = e.take_flag(c, "bias", true)?;
    let mut w = Window { over, kernel, stride, dilation: vec![1; n], pad: vec![(0, 0); n], groups: 1 };
    let mut axes = ty.axes.clone();
    axes.pop();
    for (i, name) in w.over.clone().iter().enumerate() {
        for axis in axes.iter_mut().filter(|a| a.name == *name) {
            axis.size = grown(&axis.size, w.stride[i]);
            // The padding of the convolution that this turns around.
            if let Some((_, sides)) = axis.size.most().and_then(|m| slide(m, w.kernel[i], w.stride[i], 1, Border::Same))
            {
                w.pad[i] = sides;
            }
        }
    }
    axes.push(out.clone());
    let result = slid(axes, &ty, &w.over);
    e.check_size(&result, c.span)?;
    let weight = kernel_weight(e, c, &w, feature, &out)?;
    let mut operands = vec![x, weight];
    if bias {
        operands.push(bias_of(e, c, std::slice::from_ref(&out))?);
    }
    e.push(What::ConvTranspose(w), &operands, result, c.span).map(Val::Table)
}

/// A size times a factor.
pub fn grown(size: &Size, by: usize) -> Size {
    match size {
        Size::Known(n) => Size::Known(n.saturating_mul(by)),
        Size::Variable(v) => v.then(Change::Times(by)),
        Size::Unknown(t) if by == 1 => Size::Unknown(t.clone()),
        Size::Unknown(t) => Size::Unknown(opaque(format!("{t} * {by}"))),
    }
}
