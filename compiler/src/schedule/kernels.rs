//! Graph to kernels: one definition for every stored value, in an order that respects what reads what.

use super::compose::Composer;
use super::compose::Stored;
use super::recur::Body;
use super::store::{Decision, is_view, scatters};
use crate::base::{Buffer, Element, Value};
use crate::graph::{Def, Graph, recur::closes};
use crate::loops::nest::Program;
use crate::loops::{Affine, BufferType, Coord, Expr, Home, How, Kernel, Node, Scope, Store, expr};
use crate::ops::{Op, Recur};
use std::collections::{BTreeMap, HashMap, HashSet};

/// A kernel with what scheduling needs to know of it.
#[derive(Clone, Debug)]
pub struct Item {
    /// Of a recurrence: what it reads and writes as a whole.
    pub kernel: Kernel,
    pub label: String,
    pub body: Option<std::sync::Arc<Body>>,
    /// Earlier items that it waits for, whether it reads what they make or not.
    pub after: Vec<usize>,
}

impl Item {
    pub fn new(kernel: Kernel, label: String) -> Item {
        Item { kernel, label, body: None, after: vec![] }
    }
}

/// Buffers, kernels in order of dependence, and the variables that are still free to use.
#[derive(Clone)]
pub struct Lowered {
    pub program: Program,
    pub items: Vec<Item>,
    pub scope: Scope,
}

pub(super) struct Lowering<'a> {
    pub(super) graph: &'a Graph,
    pub(super) decision: &'a Decision,
    pub(super) stored: Stored,
    pub(super) program: Program,
    pub(super) items: Vec<Item>,
    pub(super) scope: Scope,
    pub(super) bodies: BTreeMap<Recur, Body>,
    /// Views that need a copy of what they show.
    pub(super) copies: HashMap<Value, Buffer>,
}

pub fn lower(graph: &Graph, decision: &Decision) -> Lowered {
    let mut l = Lowering {
        graph,
        decision,
        stored: Stored::default(),
        program: Program { batch: graph.batch, ..Program::default() },
        items: vec![],
        scope: Scope::default(),
        bodies: BTreeMap::new(),
        copies: HashMap::new(),
    };
    l.recurrences();
    l.buffers();
    let (updates, idle) = (l.updates(), graph.idle());
    for v in graph.order().into_iter().filter(|v| !idle.contains(v)) {
        match graph.op(v) {
            Some(op) if closes(op).is_some() => l.put_together(op),
            Some(Op::Carry(_)) => {}
            _ if l.copies.contains_key(&v) => l.copy_for_view(v),
            _ if l.computed(v) && !updates.contains_key(&v) => l.define(v),
            _ => {}
        }
    }
    l.outputs();
    l.update_kernels(&updates);
    Lowered { program: l.program, items: l.items, scope: l.scope }
}

impl Lowering<'_> {
    pub(super) fn buffer(&mut self, shape: &[usize], home: Home, name: String) -> Buffer {
        self.program.buffers.push(BufferType { shape: shape.to_vec(), home, alias: None, name });
        Buffer(self.program.buffers.len() as u32 - 1)
    }

    fn buffers(&mut self) {
        for s in &self.graph.state {
            let b = self.buffer(&self.graph.node(s.value).ty.shape, Home::State, s.path.clone());
            self.program.state.push((s.path.clone(), b));
            self.stored.buffer.insert(s.value, b);
        }
        for v in self.graph.order() {
            let node = self.graph.node(v);
            let shape = node.ty.shape.clone();
            match &node.def {
                Def::Input(name) => {
                    let b = self.buffer(&shape, Home::Arena, name.clone());
                    let extent = match node.ty.element {
                        Element::Index { extent } => Some(extent),
                        Element::Number => None,
                    };
                    self.program.inputs.push((name.clone(), b, extent));
                    self.stored.buffer.insert(v, b);
                }
                Def::Op(_) if self.stored.buffer.contains_key(&v) => {}
                Def::Op(_) if is_view(self.graph, v) => {
                    let of = self.graph.operands(v)[0];
                    if self.stored.place.contains_key(&of) {
                        self.view_of_placed(v, of);
                        continue;
                    }
                    if let Some(of) = self.stored.buffer.get(&of).copied() {
                        let b = self.buffer(&shape, self.program.buffers[of.index()].home, node.origin.path.clone());
                        self.program.buffers[b.index()].alias = Some(of);
                        self.stored.buffer.insert(v, b);
                    }
                }
                Def::Op(_) if self.decision.stored.contains(&v) => {
                    let b = self.buffer(&shape, Home::Arena, node.origin.path.clone());
                    self.stored.buffer.insert(v, b);
                    if let Some(body) = self.decision.bodies.get(&v).and_then(|of| self.bodies.get_mut(of)) {
                        body.local.push(b);
                    }
                }
                Def::Op(_) | Def::State(_) | Def::Constant(_) => {}
            }
        }
    }

    fn computed(&self, v: Value) -> bool {
        matches!(self.graph.node(v).def, Def::Op(_)) && self.stored.buffer.contains_key(&v) && !is_view(self.graph, v)
    }

    /// Next states that are computed where they are stored: value to (group, position in `graph.state`).
    /// The slots of one weight (`w`, `w#m`, `w#v`) make one group and one kernel.
    fn updates(&self) -> HashMap<Value, usize> {
        let mut found = HashMap::new();
        for (i, s) in self.graph.state.iter().enumerate() {
            let Some(next) = s.next else { continue };
            let reads_elsewhere = self.graph.outputs.iter().any(|(_, v)| *v == next);
            let same_shape = self.graph.node(next).ty.shape == self.graph.node(s.value).ty.shape;
            let pure = !self.decision.profiles[&next].reduces && !scatters(self.graph, next);
            if self.computed(next) && same_shape && pure && !reads_elsewhere {
                found.insert(next, i);
            }
        }
        while let Some(v) = found.keys().copied().find(|v| self.read_elsewhere(*v, &found)) {
            found.remove(&v);
        }
        found
    }

    /// Does anything but the updates themselves read `v`, directly or through values that are not stored?
    fn read_elsewhere(&self, v: Value, updates: &HashMap<Value, usize>) -> bool {
        self.graph.users(v).into_iter().any(|u| {
            !updates.contains_key(&u) && (self.stored.buffer.contains_key(&u) || self.read_elsewhere(u, updates))
        })
    }

    fn define(&mut self, v: Value) {
        let buffer = self.stored.buffer[&v];
        let node = self.graph.node(v);
        let Def::Op(op) = &node.def else { return };
        let composer = Composer::new(self.graph, &self.stored);
        let mut s = self.scope.clone();
        let parts = composer.with_operands(v, |x| op.scatter(&mut s, x, &node.ty));
        let kernels = match parts {
            Some(parts) => {
                let mut kernels = vec![];
                if parts.iter().flat_map(|p| &p.stores).any(|st| st.how == How::Add) {
                    kernels.push(zero(&mut s, buffer, &node.ty.shape));
                }
                kernels.extend(parts.into_iter().map(|p| {
                    let stores = p.stores.into_iter().map(|st| Store { buffer, ..st }).collect();
                    Kernel { axes: p.axes, stores }
                }));
                kernels
            }
            None => {
                let (axes, at) = s.axes(&node.ty.shape);
                let value = composer.defined(&mut s, v, &at);
                vec![Kernel { axes, stores: vec![set(buffer, &self.stored.at(v, &at), value)] }]
            }
        };
        self.scope = s;
        let label = node.origin.to_string();
        let items = match self.decision.bodies.get(&v).and_then(|of| self.bodies.get_mut(of)) {
            Some(body) => &mut body.items,
            None => &mut self.items,
        };
        items.extend(kernels.into_iter().map(|kernel| Item::new(kernel, label.clone())));
    }

    /// Outputs are buffers of their own; one that is an input, a state, a constant or a view is copied.
    fn outputs(&mut self) {
        for (name, v) in &self.graph.outputs {
            if self.computed(*v) && self.program.outputs.iter().all(|(_, b)| *b != self.stored.buffer[v]) {
                self.program.outputs.push((name.clone(), self.stored.buffer[v]));
                continue;
            }
            let shape = self.graph.node(*v).ty.shape.clone();
            let b = self.buffer(&shape, Home::Arena, name.clone());
            let item = self.copy(*v, b, format!("output {name}"));
            self.items.push(item);
            self.program.outputs.push((name.clone(), b));
        }
    }

    fn copy(&mut self, v: Value, to: Buffer, label: String) -> Item {
        let (axes, at) = self.scope.axes(&self.graph.node(v).ty.shape);
        let composer = Composer::new(self.graph, &self.stored);
        let value = composer.element(&mut self.scope, v, &at);
        Item::new(Kernel { axes, stores: vec![set(to, &at, value)] }, label)
    }

    /// Writes next states over old ones: one kernel for a weight and its slots.
    fn update_kernels(&mut self, updates: &HashMap<Value, usize>) {
        let state_of: HashMap<usize, Value> = updates.iter().map(|(v, i)| (*i, *v)).collect();
        let mut groups: BTreeMap<(String, Vec<usize>), Vec<usize>> = BTreeMap::new();
        let mut items = vec![];
        for (i, s) in self.graph.state.iter().enumerate() {
            let Some(next) = s.next else { continue };
            if state_of.contains_key(&i) {
                let base = s.path.split('#').next().unwrap_or_default().to_string();
                groups.entry((base, self.graph.node(next).ty.shape.clone())).or_default().push(i);
            } else if next != s.value {
                let to = self.stored.buffer[&s.value];
                items.push(self.copy(next, to, format!("{} update", s.path)));
            }
        }
        // What an update computes lies in the state only: nobody reads it from a buffer of its own.
        for v in updates.keys() {
            self.stored.buffer.remove(v);
        }
        for ((base, shape), members) in groups {
            let (axes, at) = self.scope.axes(&shape);
            let composer = Composer::new(self.graph, &self.stored);
            let stores = members
                .iter()
                .map(|i| {
                    let value = composer.defined(&mut self.scope, state_of[i], &at);
                    set(self.stored.buffer[&self.graph.state[*i].value], &at, value)
                })
                .collect();
            items.push(Item::new(Kernel { axes, stores }, format!("{base} update")));
        }
        self.overwrite(items);
    }

    /// Every update sees the old states. What reads a state that another update writes, or elsewhere than it
    /// writes, goes by way of buffers: first all of these are computed, then the others, then they are copied.
    fn overwrite(&mut self, items: Vec<Item>) {
        let written: HashSet<Buffer> = items.iter().flat_map(|i| &i.kernel.stores).map(|s| s.buffer).collect();
        let (mut in_place, mut copies) = (vec![], vec![]);
        for mut item in items {
            let stores = &mut item.kernel.stores;
            let own: Vec<Buffer> = stores.iter().map(|s| s.buffer).collect();
            let at = stores[0].at.clone();
            let reads = Reads { own: &own, at: &at, written: &written, buffers: &self.program.buffers };
            if stores.iter().all(|s| reads.only_own(&s.value, &mut HashSet::new())) {
                in_place.push(item);
                continue;
            }
            for store in stores {
                let to = store.buffer;
                let shape = self.program.buffers[to.index()].shape.clone();
                let from = self.buffer(&shape, Home::Arena, item.label.clone());
                store.buffer = from;
                let (axes, at) = self.scope.axes(&shape);
                let kernel = Kernel { axes, stores: vec![set(to, &at, expr::load(from, &at))] };
                copies.push(Item::new(kernel, item.label.clone()));
            }
            self.items.push(item);
        }
        self.items.extend(in_place);
        self.items.extend(copies);
    }
}

/// What an update may read of the states that are `written`: its `own`, where it writes them.
struct Reads<'a> {
    own: &'a [Buffer],
    at: &'a [Coord],
    written: &'a HashSet<Buffer>,
    buffers: &'a [BufferType],
}

impl Reads<'_> {
    fn only_own(&self, e: &Expr, seen: &mut HashSet<*const Node>) -> bool {
        if !seen.insert(std::sync::Arc::as_ptr(e)) {
            return true;
        }
        if let Node::Load(b, at) = &**e {
            let mut root = *b;
            while let Some(of) = self.buffers[root.index()].alias {
                root = of;
            }
            if self.written.contains(&root) && !(self.own.contains(b) && at == self.at) {
                return false;
            }
        }
        expr::children(e).into_iter().all(|x| self.only_own(x, seen))
    }
}

pub(super) fn set(buffer: Buffer, at: &[Affine], value: Expr) -> Store {
    let at = at.iter().cloned().map(Coord::Affine).collect();
    Store { buffer, at, value, how: How::Set }
}

fn zero(s: &mut Scope, buffer: Buffer, shape: &[usize]) -> Kernel {
    let (axes, at) = s.axes(shape);
    Kernel { axes, stores: vec![set(buffer, &at, expr::constant(0.0))] }
}
