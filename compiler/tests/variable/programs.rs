//! Programs with axes of variable length.

pub struct Program {
    pub name: &'static str,
    /// Of the model, which gives `y`.
    pub body: &'static str,
    /// Axes of `y`, and the loss.
    pub y: &'static str,
    pub loss: &'static str,
    /// Is the loss a mean over elements?
    pub pooled: bool,
    /// Is it the same where `dim t = n`?
    pub same_when_fixed: bool,
}

impl Program {
    pub fn text(&self) -> String {
        format!(
            "dim t <= 9\ndim s <= 7\ndim word = 6\ndim kind = 3\n\
             data d {{\n  source = npz(\"x.npz\")\n  field tokens: word[t] = array(\"f0\")\n  field next: word[t] = array(\"f1\")\n  \
             field other: word[s] = array(\"f2\")\n  field x: [t, c: 4] = array(\"f3\")\n  field goal: [c: 3] = array(\"f4\")\n  \
             field each: [t, c: 3] = array(\"f5\")\n  field feels: kind = array(\"f6\")\n}}\n\
             model M(tokens: word[t], other: word[s], x: [t, c: 4]) -> y: {} {{\n{}\n}}\n\
             train M on d {{ loss = {}  optimizer = sgd(lr = 1)  batch = 5  epochs = 1 }}\n",
            self.y, self.body, self.loss
        )
    }
}

const OF_EXAMPLE: Program =
    Program { name: "", body: "", y: "[c: 3]", loss: "mse(y, goal)", pooled: false, same_when_fixed: true };
const OF_ELEMENTS: Program = Program { y: "[t, c: 3]", loss: "mse(y, each)", pooled: true, ..OF_EXAMPLE };

pub const PROGRAMS: &[Program] = &[
    Program { name: "mean of embed", body: "y = tokens |> embed(5) |> mean(over = t) |> dense(3)", ..OF_EXAMPLE },
    Program {
        name: "folds",
        body: "z = x |> dense(3)
               w = softmax(z, over = t)
               a = (z |> max(over = t)) + 0.1 * sum(z, over = t) + min(z, over = t) - logsumexp(z, over = t)
               b = sum(w * z, over = t) + (z |> last(over = t)) * (z |> first(over = t)) + z[t: 0] - z[t: -1]
               y = a + b + mean(log_softmax(z, over = t), over = t) + mean(z)",
        ..OF_EXAMPLE
    },
    Program {
        name: "argmax",
        body: "z = x |> dense(3)
               y = z + (argmax(z, over = t) |> embed(c2: 3) |> mean(over = c2))
               predict at = argmax(z, over = t)",
        same_when_fixed: false,
        ..OF_ELEMENTS
    },
    Program {
        name: "infinite slopes",
        body: "m = mean(x ^ 2, over = t)
               r = (1 + sqrt(x ^ 2)) / sqrt(x ^ 2)
               l = log(abs(x)) + log(sum(exp(x |> dense(4)), over = c))
               y = mean(r / 100 + l, over = t) + m / sum(m, over = c) |> dense(3)",
        ..OF_EXAMPLE
    },
    Program {
        name: "both directions",
        body: "e = tokens |> embed(4)
               fw = e |> gru(4) |> last(over = t)
               bw = e |> gru(4, reverse = true) |> first(over = t)
               y = concat(fw, bw, over = c) |> dense(3)",
        ..OF_EXAMPLE
    },
    Program {
        name: "deep recurrence",
        body: "e = concat(x |> lstm(3), x |> lstm(3, reverse = true), over = c)
               y = e |> rnn(4) |> lstm(3, reverse = true)",
        ..OF_ELEMENTS
    },
    Program {
        name: "states of their own",
        body: "keys = other |> embed(3)
               start = keys |> mean(over = s) |> tanh
               y = scan xt in x over t {
                 state h: [c: 3] = start
                 state seen: [s] = 0
                 state count: [] = 0
                 score = dot(keys, h, over = c)
                 share = softmax(score, over = s)
                 h' = tanh(dense(xt, c: 3) + dot(share, keys, over = s)) / sqrt(1 + count)
                 seen' = seen + share
                 count' = count + 1
                 yield h' + mean(seen, over = s) + log(sum(x, over = [t, c]) ^ 2 + 1)
               }",
        ..OF_ELEMENTS
    },
    Program {
        name: "convolutions",
        body: "a = x |> conv(4, 3) |> tanh |> conv(3, 2) |> conv(3, 3, dilation = 2, pad = 2)
               b = x |> causal_conv(3, 3)
               y = a + b + (x |> conv(3, 3, pad = 1, groups = 1))",
        ..OF_ELEMENTS
    },
    Program {
        name: "strides and pools",
        body: "a = x |> conv(4, 3, stride = 2, pad = 1) |> tanh |> max_pool(2)
               b = x |> conv(4, 4, pad = none) |> avg_pool(3, stride = 2, pad = 1) |> conv_transpose(4, 3, stride = 2)
               d = x |> max_pool(3, stride = 1, pad = same) |> upsample(2)
               y = (a |> mean(over = t)) + (b |> max(over = t)) + (d |> last(over = t)) |> dense(3)",
        same_when_fixed: false,
        ..OF_EXAMPLE
    },
    Program {
        name: "attention",
        body: "y = x |> sinusoidal |> attention(2) |> transformer(2, causal = true) |> layer_norm |> dense(3)",
        ..OF_ELEMENTS
    },
    Program {
        name: "places",
        body: "param slope: [t] = normal(1)
               z = x |> positional |> attention(2)
               y = (z |> dense(3)) + (dot(z, slope, over = t) |> dense(3))",
        same_when_fixed: false,
        ..OF_ELEMENTS
    },
    Program {
        name: "translation",
        body: "e = other |> embed(4)
               memory = concat(e |> gru(3), e |> gru(3, reverse = true), over = c)
               spoken = tokens |> embed(4) |> gru(6)
               looks = dot(spoken, memory |> dense(6), over = c) |> softmax(over = s)
               heard = dot(looks, memory, over = s)
               z = spoken |> cross_attention(memory, 2)
               y = concat(spoken, heard, over = c) |> dense(6) |> tanh |> concat(z, over = c) |> dense(word)",
        y: "[t, word]",
        loss: "cross_entropy(y, next)",
        ..OF_ELEMENTS
    },
    Program {
        name: "a sum of losses",
        body: "y = tokens |> embed(4) |> gru(4) |> dense(word)",
        y: "[t, word]",
        loss: "0.5 * cross_entropy(y, next) - nll(log_softmax(y, over = word), next, weight = 0.3)",
        ..OF_ELEMENTS
    },
];

/// Programs whose examples know of each other.
pub const TOGETHER: &[Program] = &[
    Program {
        name: "batch norm",
        body: "y = x |> conv(3, 3, bias = false) |> batch_norm |> relu |> dense(3) |> batch_norm",
        ..OF_ELEMENTS
    },
    Program {
        name: "means of several kinds",
        body: "y = tokens |> embed(4) |> gru(3)
               predict logits = y |> mean(over = t) |> dense(kind)",
        loss: "mse(y, each) + 0.1 * cross_entropy(logits, feels)",
        pooled: false,
        ..OF_ELEMENTS
    },
    // What is left out depends on example and place, not on how far the batch reaches.
    Program {
        name: "dropout",
        body: "y = tokens |> embed(4) |> dropout(0.5) |> conv(6, 3, stride = 2) |> tanh |> dropout(0.3) |> mean(over = t) |> dense(3)",
        ..OF_EXAMPLE
    },
    Program {
        name: "dropout in a scan",
        body: "y = scan xt in x over t (reverse = true) {
                 state h: [c: 3] = 0
                 h' = tanh(dense(xt, 3) + dense(h |> dropout(0.4), 3))
                 yield h'
               }",
        ..OF_ELEMENTS
    },
];
