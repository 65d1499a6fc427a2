//! The text of a graph: one line per value, renumbered in order, so that equal graphs print equally.
//!
//! `%7: f32[64, 14, 14, 32] = conv(%5, %2) kernel=5x5 pad=2  ; LeNet.logits/conv[1]`

use super::{Def, Graph};
use crate::base::Value;
use std::collections::BTreeMap;
use std::fmt::{self, Write};

impl Graph {
    /// Numbers in the order of printing; values on a cycle, which only a bug makes, come last.
    fn numbers(&self) -> BTreeMap<Value, usize> {
        let mut order = self.order();
        if order.len() < self.len() {
            let known: std::collections::BTreeSet<Value> = order.iter().copied().collect();
            order.extend(self.inner.node_indices().map(super::value).filter(|v| !known.contains(v)));
        }
        order.into_iter().enumerate().map(|(i, v)| (v, i)).collect()
    }

    /// `conv(%5, %2) kernel=5x5 pad=2`
    fn definition(&self, value: Value, numbers: &BTreeMap<Value, usize>) -> String {
        match &self.node(value).def {
            Def::Input(name) => format!("input {name}"),
            Def::State(path) => format!("state {path}"),
            Def::Constant(bits) => format!("{:?}", f32::from_bits(*bits)),
            Def::Op(op) => {
                let operands: Vec<String> = self.operands(value).iter().map(|v| format!("%{}", numbers[v])).collect();
                let text = format!("{}({}) {}", op.name(), operands.join(", "), op.attributes());
                text.trim_end().to_string()
            }
        }
    }

    /// The graph in the language of Graphviz.
    pub fn dot(&self) -> String {
        let numbers = self.numbers();
        let mut text = String::from("digraph {\n    node [shape=box, fontname=monospace];\n");
        let mut values: Vec<(usize, Value)> = numbers.iter().map(|(v, i)| (*i, *v)).collect();
        values.sort_unstable();
        for (i, v) in values {
            let label = match &self.node(v).def {
                Def::Op(op) => format!("{} {}", op.name(), op.attributes()),
                Def::Input(_) | Def::State(_) | Def::Constant(_) => self.definition(v, &numbers),
            };
            let label = format!("{}\n{}", label.trim_end(), self.node(v).ty);
            // Debug escapes quotes and line ends the way Graphviz reads them.
            let _ = writeln!(text, "    n{i} [label={label:?}];");
            for operand in self.operands(v) {
                let _ = writeln!(text, "    n{} -> n{i};", numbers[&operand]);
            }
        }
        for (k, (name, v)) in self.outputs.iter().enumerate() {
            let _ = writeln!(text, "    o{k} [label={name:?}, shape=ellipse];\n    n{} -> o{k};", numbers[v]);
        }
        text + "}\n"
    }
}

impl fmt::Display for Graph {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let numbers = self.numbers();
        let mut values: Vec<(usize, Value)> = numbers.iter().map(|(v, i)| (*i, *v)).collect();
        values.sort_unstable();
        for (i, v) in values {
            let node = self.node(v);
            write!(f, "%{i}: {} = {}", node.ty, self.definition(v, &numbers))?;
            let origin = node.origin.to_string();
            writeln!(f, "{}{origin}", if origin.is_empty() { "" } else { "  ; " })?;
        }
        for s in &self.state {
            if let Some(next) = s.next {
                writeln!(f, "next {} = %{}", s.path, numbers[&next])?;
            }
        }
        for (i, r) in self.recurrences.iter().enumerate() {
            for (which, (_, next)) in r.states.iter().enumerate().filter_map(|(w, s)| Some((w, (*s)?))) {
                writeln!(f, "next loop={i} state={which} = %{}", numbers.get(&next).copied().unwrap_or(usize::MAX))?;
            }
        }
        for (name, v) in &self.outputs {
            writeln!(f, "output {name} = %{}", numbers[v])?;
        }
        Ok(())
    }
}
