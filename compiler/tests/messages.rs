//! What a wrong program is told: code, place and sentence.

mod common;

use common::messages;

fn show(name: &str, text: &str) {
    println!("== {name}");
    if let Err(f) = common::checked(text) {
        for d in &f.diagnostics {
            let (l, c) = f.sources.line_column(d.primary.span.source, d.primary.span.start);
            println!("{} {}:{l}:{c} {} | {} [{}]", d.code, f.sources.get(d.primary.span.source).name, d.message, d.primary.text, f.sources.slice(d.primary.span));
            for s in &d.secondary { println!("    label [{}] {}", f.sources.slice(s.span), s.text); }
            for (n, s) in &d.notes { println!("    note {n} [{}]", s.map_or("", |s| f.sources.slice(s))); }
            if let Some(h) = &d.help { println!("    help {h}"); }
        }
    } else { println!("{}", messages(text).join("\n")); }
}

fn model(body: &str) -> String {
    format!("dim digit = 10\nmodel M(x: [h: 8, w: 8, c: 4]) -> y {{\n  {body}\n}}\n")
}

#[test]
fn explore() {
    for body in [
        "y = x |> desne(3)", "y = x |> dense(3.5)", "y = x + nope", "y = x |> conv(3, 11, pad = none)", "y = x |> dense(3, baes = false)",
        "z = x |> conv(3, 3, stride = 2)\n  y = x + z", "a = x[h: 0]\n  b = x[w: 0]\n  y = a * b", "y = x |> squeeze(c)", "y = x |> view(c -> a: 3, b)",
        "y = x |> view(h -> q) |> dense(q: 3)", "y = mean(x, over = t)", "y = x |> dropout(1.5)", "y = if x then 1 else 2", "y = x(3)", "y = x.q", "y = 3 |> dense(4)",
        "a, b = x |> unstack(over = c)\n  y = a", "y = x |> embed(4)", "y = x\n  y = x", "z = x", "layer f = dense(3)\n  y = f.weight", "layer f = dense(3)\n  a = f(x)\n  y = f(x |> flatten)",
        "y = x |> dense(1e9) |> dense(1e9)", "y = 1 / 0 * x", "y = x |> repeat 1.5 { relu }", "y = x |> repeat 1e9 { relu }", "y = x |> relu()() ", "y = dense(x)", "y = dot(x, x)", "y = relu", "y = digit",
        "y = x |> dense(digit: 3)", "state m: [c: 4] = 0\n  y = x + m", "m' = x\n  y = x", "y: [a: 3] = x", "y: [3] = x", "param p: [k] = zeros\n y = x + p", "y = x |> max_pool(9)", "y = concat(x, x[h: 0], over = c)",
        "y = softmax(x)", "y = x |> softmax(over = q)", "y = argmax(x, over = c) + 1", "y = scan a in x over h { yield a }", "y = x |> lstm(3)", "y = -\"a\"", "y = x and x", "y = x[h: 99]", "y = x |> conv(3, 3, groups = 3)", "y = exp(1000) * x", "predict q = argmax(x, over = c)\n  y = x",
        "unused = x |> dense(4)\n  digit = x\n  y = x |> dense(3) |> dense(4)", "y = x |> conv(3, 3) |> batch_norm |> max_pool(3)", "y = x |> max_pool(3)  # allow(pool_drops_edge)",
    ] { show(body, &model(body)); }
}

#[test]
fn explore_programs() {
    let base = |m: &str, t: &str| format!("dim digit = 10\ndim word\ndata d {{\n source = csv(\"a.csv\")\n field x: [f: 4] = columns(0..4)\n field label: digit = column(4)\n split = ratio(train = 80%, val = 20%)\n}}\nmodel M(x: [f: 4]) -> logits {{\n {m}\n}}\ntrain M on d {{\n {t}\n}}\n");
    for (m, t) in [
        ("logits = x |> dense(10)", "loss = cross_entropy(logits, label)"),
        ("logits = x |> dense(digit)", "loss = cross_entropy(logits, label)\n optimizer = adm(lr = 1)"),
        ("logits = x |> dense(digit)", "loss = logits"), ("logits = x |> dense(digit)", "loss = 3"), ("logits = x |> dense(digit)", "loss = mean(x)"),
        ("logits = x |> dense(digit)", "epoch = 3\n loss = cross_entropy(logits, label)"), ("logits = x |> dense(digit)", "optimizer = adam"),
        ("logits = x |> dense(digit) |> softmax(over = digit)", "loss = cross_entropy(logits, label)\n metrics = [acuracy(logits, label)]"),
        ("logits = x |> dense(digit) |> relu |> dropout(0.5)", "loss = cross_entropy(logits, label)\n metrics = [mae(logits, label)]\n stop = patience(3)"),
        ("logits = x |> dense(digit)\n predict label = argmax(logits, over = digit)", "loss = cross_entropy(logits, label)"),
        ("logits = x |> dense(digit) |> relu", "loss = cross_entropy(logits, label)\n schedule = cosine(warmup = 20 epochs)\n augment x |> noise(1)\n"),
        ("logits = x |> dense(digit)", "loss = cross_entropy(logits, label, smoth = 1)\n optimizer = sgd(lr = -1)\n schedule = cosin"),
    ] { show(t, &base(m, t)); }
    show("field differs", "data d { source = csv(\"a\") field x: [g: 4] = columns(0..4) }\nmodel M(x: [f: 4], z: [q: 3]) -> y { y = x |> dense(3) }\ntrain M on d { loss = mean(y) }");
    show("unet", "block UNet(x: [h, w, c], ch, depth) -> y { e = x |> conv(ch, 3)\n y = if depth == 0 then e else e |> max_pool(2) |> UNet(2 * ch, depth - 1) |> upsample(2) }\nmodel M(x: [h: 96, w: 96, c: 1]) -> y { y = x |> UNet(16, depth = 9) }");
    show("endless", "block F(x: [..]) -> y { y = x |> F }\nmodel M(x: [h: 9]) -> y { y = x |> F }");
    show("residual", "block Residual(x: [h, w, c], ch, stride = 1) -> y {\n f = x |> conv(ch, 3, stride = stride)\n s = x\n y = relu(f + s)\n}\nmodel M(x: [h: 32, w: 32, c: 16]) -> y { y = x |> Residual(32, stride = 2) }");
    show("att", "block Att(x: [t, d], heads) -> y { y = x |> dense(head: heads, key: x.d / heads) }\nblock T(x: [t, d], heads) -> y { y = x |> Att(heads) }\nmodel M(x: [t: 3, d: 192]) -> y { y = x |> T(heads = 5) }");
    show("sig", "block B(x: [h, w]) -> y { y = x }\nblock C(a: [p], b: [p]) -> y { y = a + b }\nmodel M(x: [h: 8, w: 9, c: 3]) -> y { a = B(x)\n y = C(x[h: 0, w: 0], x[h: 0, c: 0]) }");
    show("imports", "import \"nope.dl\"\nimport \"blocks.dl\"\nmodel M(x: [c: 3]) -> y { y = x |> Twice }");
    show("dims", "dim a = b\ndim b = a\ndim c = [\"x\", \"x\"]\ndim d <= 3\ndim e = 1e12\nconst z = 1/0\nmodel M(x: [a], k: q[t: 3]) -> y { y = x }");
    show("data", "data d { source = cvs(\"a\")\n field x: [f: 4] = colums(0..4)\n field y: [f: 4] = columns(4..2)\n field i: [h: 3] = images |> resize(h: 3)\n split = ratio(train = 80%)\n cash = 3 }\ndata e { source = folders(\"a\")\n field q: [a: 3] = columns(1..) |> scale }");
}
