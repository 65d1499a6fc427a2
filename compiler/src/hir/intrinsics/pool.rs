//! Pools and upsampling.

use super::conv::{Pad, grown, slid, slide_all, sliding, take_pad};
use crate::base::Diagnostic;
use crate::hir::args::Call;
use crate::hir::elab::{Elab, Res};
use crate::hir::layer::{What, Window};
use crate::hir::value::{LayerId, Table, Val};

/// Operand, window and result of a pool: `(x, k, stride = k, pad = none)`.
fn pool<'a>(e: &mut Elab<'a>, c: &mut Call<'a>) -> Res<(LayerId, Window, Table)> {
    let (x, span) = e.take_real_table(c, "x")?;
    let ty = e.number_type(x, span)?;
    let over = sliding(e, c, &ty, span)?;
    let n = over.len();
    let kernel = e.take_sizes(c, "k", n, None)?;
    let stride = match e.take_any(c, "stride")? {
        Some((Val::List(items), at)) if items.len() == n => {
            items.into_iter().map(|i| e.whole_number((i, at), "stride", 1)).collect::<Res<_>>()?
        }
        Some(placed) => vec![e.whole_number(placed, "stride", 1)?; n],
        None => kernel.clone(),
    };
    let pad = take_pad(e, c, n, Pad::Sides(vec![0; n]))?;
    if let Pad::Sides(sides) = &pad
        && let Some(i) = (0..n).find(|i| sides[*i] >= kernel[*i] && sides[*i] > 0)
    {
        let message = format!("`pad` is {}, it must be smaller than the pool {}", sides[i], kernel[i]);
        return e.fail("E0410", c.span, message);
    }
    let mut w = Window { over, kernel, stride, dilation: vec![1; n], pad: vec![(0, 0); n], groups: 1 };
    let axes = slide_all(e, c, &ty, &mut w, &pad)?;
    pool_drops_edge(e, c, &ty, &w);
    let result = slid(axes, &ty, &w.over);
    Ok((x, w, result))
}

/// What the last window does not reach; padding that is left out is no loss.
fn pool_drops_edge<'a>(e: &mut Elab<'a>, c: &Call<'a>, ty: &Table, w: &Window) {
    for (i, name) in w.over.iter().enumerate() {
        let Some(n) = ty.axis(name).and_then(|a| a.size.known()) else { continue };
        let padded = n + w.pad[i].0 + w.pad[i].1;
        let left = (padded.saturating_sub(w.kernel[i]) % w.stride[i]).saturating_sub(w.pad[i].1);
        if left > 0 && w.kernel[i] >= w.stride[i] {
            let message = format!("the pool leaves out the last {left} of {n} along `{name}`");
            let d = Diagnostic::warning("pool_drops_edge", c.span, message);
            e.warn(d.help("write `pad = same` to keep them"));
            return;
        }
    }
}

pub fn max_pool<'a>(e: &mut Elab<'a>, c: &mut Call<'a>) -> Res<Val<'a>> {
    let (x, w, ty) = pool(e, c)?;
    e.push(What::MaxPool(w), &[x], ty, c.span).map(Val::Table)
}

/// The mean of what lies inside the table: padding does not count.
pub fn avg_pool<'a>(e: &mut Elab<'a>, c: &mut Call<'a>) -> Res<Val<'a>> {
    let (x, w, ty) = pool(e, c)?;
    e.push(What::AvgPool(w), &[x], ty, c.span).map(Val::Table)
}

/// `upsample(x, by, kind = "nearest")`, or `"linear"` with half-pixel centres.
pub fn upsample<'a>(e: &mut Elab<'a>, c: &mut Call<'a>) -> Res<Val<'a>> {
    let (x, span) = e.take_real_table(c, "x")?;
    let ty = e.number_type(x, span)?;
    let over = sliding(e, c, &ty, span)?;
    let by = e.take_sizes(c, "by", over.len(), None)?;
    let mut word = e.take_word(c, "kind")?;
    if word.is_none()
        && let Some(given) = c.queue.pop_front()
    {
        let (value, at) = e.given(given)?;
        word = Some(match value {
            Val::Text(t) => (Ok(t), at),
            other => (Err(other), at),
        });
    }
    let linear = match word {
        None => false,
        Some((Ok(w), _)) if w == "nearest" => false,
        Some((Ok(w), _)) if w == "linear" => true,
        Some((_, at)) => return e.fail("E0410", at, "upsampling is \"nearest\" or \"linear\""),
    };
    if let (true, Some((axis, _))) = (linear, ty.variable().find(|(a, _)| over.contains(&a.name))) {
        let name = axis.name.clone();
        return e.no_cut("upsample", &name, &ty, c.span);
    }
    let mut axes = ty.axes.clone();
    for (name, by) in over.iter().zip(&by) {
        for axis in axes.iter_mut().filter(|a| a.name == *name) {
            axis.size = grown(&axis.size, *by);
        }
    }
    e.push(What::Upsample { over, by, linear }, &[x], Table { axes, ..ty }, c.span).map(Val::Table)
}
